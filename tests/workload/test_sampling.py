"""Every distribution has the mean, the variability and the shape its parameters promise.

Each check is exact up to the sampling error of its own estimator: the standard error of a mean of
n values is sd / sqrt(n), that of a count of n is binomial. Bounds are 4.5 standard errors (a chance
of about 7 in a million per check), and the seeds are fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from simsched.scenario import (
    Column,
    Constant,
    Dist,
    Empirical,
    Exponential,
    Gamma,
    Hyperexponential,
    Lognormal,
    Pareto,
    Uniform,
    Weibull,
)
from simsched.workload.sampling import sample
from simsched.workload.streams import stream
from simsched.workload.tables import TableError

N = 200_000
SIGMAS = 4.5


@dataclass
class Truth:
    """What is known of a distribution: raw moments 1, 2 and 4, and its distribution function."""

    dist: Dist
    moments: tuple[float, float, float]
    cdf: Callable[[float], float]


def truth(dist: Dist, moment: Callable[[int], float], cdf: Callable[[float], float]) -> Truth:
    return Truth(dist, (moment(1), moment(2), moment(4)), cdf)


def exponential(mean: float) -> Truth:
    return truth(
        Exponential(mean_s=mean),
        lambda k: math.factorial(k) * mean**k,
        lambda x: 1 - math.exp(-x / mean),
    )


def lognormal(mean: float, cv: float) -> Truth:
    sigma = math.sqrt(math.log(1 + cv**2))
    return truth(
        Lognormal(mean_s=mean, cv=cv),
        lambda k: mean**k * (1 + cv**2) ** (k * (k - 1) / 2),
        stats.lognorm(sigma, scale=mean * math.exp(-(sigma**2) / 2)).cdf,
    )


def gamma(mean: float, cv: float) -> Truth:
    a, scale = 1 / cv**2, mean * cv**2
    return truth(
        Gamma(mean_s=mean, cv=cv),
        lambda k: scale**k * math.gamma(a + k) / math.gamma(a),
        stats.gamma(a, scale=scale).cdf,
    )


def weibull(mean: float, shape: float) -> Truth:
    scale = mean / math.gamma(1 + 1 / shape)
    return truth(
        Weibull(mean_s=mean, shape=shape),
        lambda k: scale**k * math.gamma(1 + k / shape),
        lambda x: 1 - math.exp(-((x / scale) ** shape)),
    )


def pareto(mean: float, shape: float) -> Truth:
    low = mean * (shape - 1) / shape
    return truth(
        Pareto(mean_s=mean, shape=shape),
        lambda k: low**k * shape / (shape - k),
        lambda x: 1 - (low / x) ** shape if x > low else 0.0,
    )


def uniform(low: float, high: float) -> Truth:
    return truth(
        Uniform(low_s=low, high_s=high),
        lambda k: (high ** (k + 1) - low ** (k + 1)) / ((k + 1) * (high - low)),
        lambda x: min(1.0, max(0.0, (x - low) / (high - low))),
    )


def hyperexponential(mean: float, cv: float) -> Truth:
    """Balanced means p m1 = (1 - p) m2 = mean / 2, with p solved from the cv by hand."""
    p = (1 + math.sqrt((cv**2 - 1) / (cv**2 + 1))) / 2
    phases = [(p, mean / 2 / p), (1 - p, mean / 2 / (1 - p))]
    return truth(
        Hyperexponential(mean_s=mean, cv=cv),
        lambda k: math.factorial(k) * sum(w * m**k for w, m in phases),
        lambda x: sum(w * (1 - math.exp(-x / m)) for w, m in phases),
    )


def empirical(*quantiles: tuple[float, float]) -> Truth:
    """Between two quantiles the distribution is uniform: a mixture of uniforms."""
    p, v = zip(*quantiles, strict=True)
    pieces = list(zip(np.diff(p), v, v[1:], strict=False))
    return truth(
        Empirical(quantiles=quantiles),
        lambda k: sum(
            w * (b ** (k + 1) - a ** (k + 1)) / ((k + 1) * (b - a)) for w, a, b in pieces
        ),
        lambda x: float(np.interp(x, v, p)),
    )


CASES = {
    "exponential": exponential(0.005),
    "lognormal narrow": lognormal(0.005, 0.2),
    "lognormal wide": lognormal(0.005, 0.8),
    "gamma below exponential": gamma(0.005, 0.5),
    "gamma above exponential": gamma(0.005, 1.5),
    "weibull heavy": weibull(0.005, 0.7),
    "weibull light": weibull(0.005, 2.0),
    "pareto": pareto(0.005, 5.5),
    "uniform": uniform(0.002, 0.01),
    "hyperexponential": hyperexponential(0.005, 2.0),
    "quantiles": empirical((0.0, 0.001), (0.5, 0.002), (0.9, 0.01), (1.0, 0.05)),
}


@pytest.fixture(params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Truth:
    return CASES[request.param]


def draw(dist: Dist, n: int = N, seed: int = 7) -> NDArray[np.float64]:
    return sample(dist, stream(seed, 0, "test"), n)


def test_the_mean_is_the_mean_of_the_parameters(case: Truth) -> None:
    assert case.dist.mean_s == pytest.approx(case.moments[0], rel=1e-12)
    m1, m2, _ = case.moments
    error = math.sqrt((m2 - m1**2) / N)
    assert abs(draw(case.dist).mean() - m1) < SIGMAS * error


def test_the_second_moment_and_so_the_cv_is_that_of_the_parameters(case: Truth) -> None:
    _, m2, m4 = case.moments
    error = math.sqrt((m4 - m2**2) / N)
    assert abs((draw(case.dist) ** 2).mean() - m2) < SIGMAS * error


def test_the_truths_of_this_file_have_the_cv_they_were_asked_for() -> None:
    for name in ("lognormal wide", "gamma above exponential", "hyperexponential"):
        dist, (m1, m2, _) = CASES[name].dist, CASES[name].moments
        assert isinstance(dist, Lognormal | Gamma | Hyperexponential)
        assert math.sqrt(m2 - m1**2) / m1 == pytest.approx(dist.cv, rel=1e-9)


def test_the_shape_follows_the_distribution_function(case: Truth) -> None:
    """Below any point x falls a binomial share of the values: the quantiles are right."""
    values = np.sort(draw(case.dist))
    checked = 0
    for x in case.moments[0] * np.array([0.01, 0.1, 0.3, 0.6, 0.85, 1, 1.5, 2, 4, 8]):
        p = float(case.cdf(float(x)))
        below = np.searchsorted(values, x, side="right") / N
        if p in (0.0, 1.0):
            assert below == p
        elif N * p * (1 - p) > 25:
            assert abs(below - p) < SIGMAS * math.sqrt(p * (1 - p) / N)
            checked += 1
    assert checked >= 3


def test_all_values_are_finite_and_not_negative(case: Truth) -> None:
    values = draw(case.dist)
    assert np.isfinite(values).all()
    assert (values >= 0).all()


def test_a_longer_draw_begins_with_the_shorter(case: Truth) -> None:
    assert np.array_equal(draw(case.dist, 5000)[:1234], draw(case.dist, 1234))


def test_a_constant_takes_no_random_number() -> None:
    rng = stream(1, 0, "test")
    assert sample(Constant(value_s=0.005), rng, 3).tolist() == [0.005] * 3
    assert rng.random() == stream(1, 0, "test").random()


@pytest.mark.parametrize("cv", [1.0001, 100.0, 1000.0])
def test_extreme_hyperexponentials_stay_finite(cv: float) -> None:
    assert np.isfinite(draw(Hyperexponential(mean_s=1.0, cv=cv), 50_000)).all()


def test_a_column_gives_its_own_values_in_its_own_order() -> None:
    column = np.array([0.3, 0.1, 0.2])
    drawn = sample(Column(column="cpu_s"), stream(1, 0, "test"), 3, {"cpu_s": column})
    assert drawn.tolist() == [0.3, 0.1, 0.2]
    drawn[0] = 9.0
    assert column[0] == 0.3


def test_a_column_without_a_trace_is_an_error() -> None:
    with pytest.raises(KeyError, match="cpu_s"):
        sample(Column(column="cpu_s"), stream(1, 0, "test"), 3)


class TestSampleFiles:
    def of(self, base_dir: Path, file: str, column: str | None = None, n: int = N) -> Any:
        dist = Empirical(file=file, column=column)
        return sample(dist, stream(1, 0, "test"), n, base_dir=base_dir).tolist()

    def test_every_sample_is_as_likely_as_its_count(self, tmp_path: Path) -> None:
        (tmp_path / "samples.txt").write_text("# measured\n0.001\n\n0.002\n0.002\n0.004\n")
        values = np.array(self.of(tmp_path, "samples.txt"))
        assert set(values) == {0.001, 0.002, 0.004}
        for value, p in [(0.001, 0.25), (0.002, 0.5), (0.004, 0.25)]:
            share = (values == value).mean()
            assert abs(share - p) < SIGMAS * math.sqrt(p * (1 - p) / N)

    def test_a_column_of_csv_has_the_unit_of_its_name(self, tmp_path: Path) -> None:
        (tmp_path / "samples.csv").write_text("id,io_us\na,100\nb,100\n")
        assert self.of(tmp_path, "samples.csv", "io_us", 2) == [0.0001, 0.0001]

    def test_an_npz_file_of_one_array_needs_no_column(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "samples.npz", io_ms=np.array([3, 3]))
        assert self.of(tmp_path, "samples.npz", n=2) == [0.003, 0.003]

    def test_an_npz_file_of_several_arrays_needs_a_column(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "samples.npz", io_ms=np.array([3]), cpu_ms=np.array([4]))
        with pytest.raises(TableError, match="io_ms, cpu_ms"):
            self.of(tmp_path, "samples.npz")
        assert self.of(tmp_path, "samples.npz", "cpu_ms", 1) == [0.004]

    def test_a_file_that_changes_is_read_anew(self, tmp_path: Path) -> None:
        import os

        path = tmp_path / "samples.txt"
        path.write_text("1\n")
        assert self.of(tmp_path, "samples.txt", n=1) == [1.0]
        path.write_text("2\n")
        os.utime(path, ns=(1, 1))
        assert self.of(tmp_path, "samples.txt", n=1) == [2.0]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "no samples"),
            ("0.1\n-2\n", "line 2 .* '-2'"),
            ("0.1\n\nfast\n", "line 3 .* 'fast'"),
            ("nan\n", "line 1 .* 'nan'"),
            ("inf\n", "line 1 .* 'inf'"),
        ],
    )
    def test_what_is_no_duration_is_named_by_its_line(
        self, tmp_path: Path, text: str, message: str
    ) -> None:
        (tmp_path / "samples.txt").write_text(text)
        with pytest.raises(TableError, match=message):
            self.of(tmp_path, "samples.txt")

    def test_a_missing_file_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(TableError, match=r"nothing\.txt"):
            self.of(tmp_path, "nothing.txt")
