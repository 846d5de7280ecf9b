"""Each formula against a textbook value and against an independent computation."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
import pytest
from scipy.integrate import quad

from simsched.observe.record import FloatArray
from simsched.stats import theory

from .queues import generator, lindley_start, multi_server_start

CASES = [(0.3, 1), (0.9, 1), (1.5, 2), (3.6, 4), (10.0, 12), (180.0, 200)]
"""(offered load in Erlangs, servers)."""


def stationary(rates: FloatArray) -> FloatArray:
    """Stationary distribution of a Markov chain: solve p Q = 0, sum p = 1."""
    generator_matrix = rates - np.diag(rates.sum(axis=1))
    system = generator_matrix.T.copy()
    system[-1] = 1.0  # one balance equation follows from the others
    target = np.zeros(len(rates))
    target[-1] = 1.0
    p: FloatArray = np.linalg.solve(system, target).astype(np.float64)
    return p


def birth_death(
    states: int, birth: Callable[[int], float], death: Callable[[int], float]
) -> FloatArray:
    rates = np.zeros((states, states))
    for n in range(states - 1):
        rates[n, n + 1] = birth(n)
        rates[n + 1, n] = death(n + 1)
    return stationary(rates)


# -- Erlang --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("servers", "offered", "blocking"),
    # From printed Erlang B tables: 2 Erlangs on 4 lines, 5 on 10, 84.06 on 100.
    [(1, 1.0, 0.5), (2, 1.0, 0.2), (4, 2.0, 0.0952), (10, 5.0, 0.0184), (100, 84.06, 0.0100)],
)
def test_erlang_b_is_that_of_the_tables(servers: int, offered: float, blocking: float) -> None:
    assert theory.erlang_b(servers, offered) == pytest.approx(blocking, abs=6e-5)


@pytest.mark.parametrize(("offered", "servers"), CASES)
def test_erlang_b_is_its_definition(offered: float, servers: int) -> None:
    terms = [n * math.log(offered) - math.lgamma(n + 1) for n in range(servers + 1)]
    expected = math.exp(terms[-1]) / math.fsum(math.exp(t) for t in terms)
    assert theory.erlang_b(servers, offered) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("servers", "offered", "waits"), [(1, 0.7, 0.7), (2, 1.0, 1 / 3), (5, 4.0, 0.5541)]
)
def test_erlang_c_is_that_of_the_textbooks(servers: int, offered: float, waits: float) -> None:
    assert theory.erlang_c(servers, offered) == pytest.approx(waits, abs=5e-5)


def test_erlang_c_is_stable_for_many_servers_and_one_under_overload() -> None:
    assert 0 < theory.erlang_c(10_000, 9900.0) < 1
    assert theory.erlang_c(4, 4.0) == 1.0
    assert theory.erlang_c(4, 9.0) == 1.0


# -- M/M/c ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("offered", "servers"), CASES[:5])
def test_mmc_is_the_solution_of_its_markov_chain(offered: float, servers: int) -> None:
    service_s, rate = 0.02, offered / 0.02
    p = birth_death(600, lambda _: rate, lambda n: min(n, servers) / service_s)
    length = float(p @ np.arange(600))
    assert theory.mmc_sojourn(rate, service_s, servers) == pytest.approx(length / rate, rel=1e-8)
    waits = float(p[servers:].sum())
    assert theory.erlang_c(servers, offered) == pytest.approx(waits, rel=1e-8)


def test_mm1_is_service_over_one_minus_load() -> None:
    assert theory.mmc_sojourn(80.0, 0.01) == pytest.approx(0.05)
    assert theory.mmc_wait(80.0, 0.01) == pytest.approx(0.04)


def test_an_unstable_queue_waits_forever() -> None:
    assert theory.mmc_wait(100.0, 0.01) == math.inf
    assert theory.mmc_wait_quantile(0.5, 100.0, 0.01) == math.inf
    assert theory.mmc_sojourn_quantile(0.5, 100.0, 0.01) == math.inf
    assert theory.mg1_wait(100.0, 0.01, 0.0) == math.inf
    assert theory.mg1_ps_sojourn(100.0, 0.01) == math.inf


@pytest.mark.parametrize(("offered", "servers"), CASES[:5])
@pytest.mark.parametrize("t", [0.3, 1.0, 4.0])
def test_sojourn_tail_is_the_convolution_of_wait_and_service(
    offered: float, servers: int, t: float
) -> None:
    rate, d = offered, servers - offered
    waits = theory.erlang_c(servers, offered)
    late, _ = quad(lambda w: waits * d * math.exp(-d * w) * math.exp(-(t - w)), 0.0, t)
    expected = (1 - waits) * math.exp(-t) + late + waits * math.exp(-d * t)
    assert theory.mmc_sojourn_tail(t, rate, 1.0, servers) == pytest.approx(expected, rel=1e-8)


def test_sojourn_tail_is_continuous_where_the_two_rates_meet() -> None:
    # d = mu exactly for 2 servers and 1 Erlang.
    at = theory.mmc_sojourn_tail(2.0, 1.0, 1.0, 2)
    near = theory.mmc_sojourn_tail(2.0, 1.0 + 1e-9, 1.0, 2)
    waits = 1 / 3
    assert at == pytest.approx((1 - waits + waits * (1 + 2.0)) * math.exp(-2.0), rel=1e-12)
    assert near == pytest.approx(at, rel=1e-8)


@pytest.mark.parametrize(("offered", "servers"), CASES)
@pytest.mark.parametrize("p", [0.5, 0.99, 0.999])
def test_sojourn_quantile_inverts_the_tail(offered: float, servers: int, p: float) -> None:
    t = theory.mmc_sojourn_quantile(p, offered, 1.0, servers)
    assert theory.mmc_sojourn_tail(t, offered, 1.0, servers) == pytest.approx(1 - p, rel=1e-9)


def test_sojourn_of_one_server_is_exponential() -> None:
    expected = -math.log(0.01) / (1 - 0.8)
    assert theory.mmc_sojourn_quantile(0.99, 0.8, 1.0) == pytest.approx(expected, rel=1e-12)


def test_wait_quantile_is_zero_where_most_do_not_wait() -> None:
    assert theory.mmc_wait_quantile(0.5, 1.0, 1.0, 2) == 0.0
    # P(W > t) = C e^(-(c mu - lambda) t) = 1 - p.
    t = theory.mmc_wait_quantile(0.99, 1.0, 1.0, 2)
    assert theory.erlang_c(2, 1.0) * math.exp(-t) == pytest.approx(0.01)


# -- losses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "servers", "places"),
    [(0.8, 1, 1), (0.8, 1, 5), (3.0, 2, 10), (1.0, 1, 7), (5.0, 4, 4)],
)
def test_mmck_is_the_solution_of_its_markov_chain(rate: float, servers: int, places: int) -> None:
    p = birth_death(places + 1, lambda _: rate, lambda n: float(min(n, servers)))
    np.testing.assert_allclose(theory.mmck_distribution(rate, 1.0, servers, places), p, atol=1e-12)
    lost, sojourn = theory.mmck(rate, 1.0, servers, places)
    length = float(p @ np.arange(places + 1))
    assert lost == pytest.approx(float(p[-1]))
    assert sojourn == pytest.approx(length / (rate * (1 - lost)))


def test_without_a_queue_the_loss_is_erlang_b_and_nobody_waits() -> None:
    lost, sojourn = theory.mmck(50.0, 0.1, 10, 10)
    assert lost == pytest.approx(theory.erlang_b(10, 5.0))
    assert sojourn == pytest.approx(0.1)


def test_a_long_queue_is_like_an_unlimited_one() -> None:
    lost, sojourn = theory.mmck(1.8, 1.0, 2, 3000)
    assert lost < 1e-100
    assert sojourn == pytest.approx(theory.mmc_sojourn(1.8, 1.0, 2))


def test_heavy_loss_and_many_places_do_not_overflow() -> None:
    lost, sojourn = theory.mmck(1e6, 1.0, 200, 5000)
    assert lost == pytest.approx(1 - 200 / 1e6, rel=1e-9)
    assert sojourn == pytest.approx(5000 / 200, rel=1e-3)


# -- M/G/1 ---------------------------------------------------------------------------------------


def test_constant_service_halves_the_wait() -> None:
    assert theory.mg1_wait(0.8, 1.0, 0.0) == pytest.approx(theory.mmc_wait(0.8, 1.0) / 2)
    assert theory.mg1_sojourn(0.8, 1.0, 0.0) == pytest.approx(3.0)


BRANCHES = ((0.9, 2.0), (0.1, 2 / 11))
"""Probability and rate of the branches of a hyperexponential with mean 1."""
MEAN = sum(q / mu for q, mu in BRANCHES)
VARIANCE = sum(2 * q / mu**2 for q, mu in BRANCHES) - MEAN**2


def test_pollaczek_khinchine_is_the_solution_of_a_markov_chain_with_phases() -> None:
    """M/H2/1: states (number, branch of the one in service)."""
    rate, most = 0.6, 300
    index = {(n, k): 1 + 2 * (n - 1) + k for n in range(1, most + 1) for k in range(2)}
    rates = np.zeros((1 + 2 * most, 1 + 2 * most))
    for k, (q, mu) in enumerate(BRANCHES):
        rates[0, index[1, k]] = rate * q
        rates[index[1, k], 0] = mu
        for n in range(1, most):
            rates[index[n, k], index[n + 1, k]] = rate
            for following, (q2, _) in enumerate(BRANCHES):
                rates[index[n + 1, k], index[n, following]] = mu * q2
    p = stationary(rates)
    length = sum(n * p[i] for (n, _), i in index.items())
    assert theory.mg1_sojourn(rate, MEAN, VARIANCE) == pytest.approx(length / rate, rel=1e-6)


def test_processor_sharing_is_the_solution_of_a_markov_chain_and_insensitive() -> None:
    """M/H2/1-PS: states (number in branch 1, number in branch 2), the server split evenly."""
    rate, most = 0.5, 42
    states = [s for s in product(range(most + 1), repeat=2) if sum(s) <= most]
    index = {s: i for i, s in enumerate(states)}
    rates = np.zeros((len(states), len(states)))
    for (a, b), i in index.items():
        for k, (q, mu) in enumerate(BRANCHES):
            up = (a + 1, b) if k == 0 else (a, b + 1)
            down = (a - 1, b) if k == 0 else (a, b - 1)
            if up in index:
                rates[i, index[up]] = rate * q
            if (a, b)[k] > 0:
                rates[i, index[down]] = mu * (a, b)[k] / (a + b)
    p = stationary(rates)
    length = sum((a + b) * p[i] for (a, b), i in index.items())
    assert theory.mg1_ps_sojourn(rate, MEAN) == pytest.approx(length / rate, rel=1e-6)
    assert theory.mg1_ps_sojourn(rate, MEAN) == pytest.approx(theory.mmc_sojourn(rate, MEAN))


# -- closed systems ------------------------------------------------------------------------------


@pytest.mark.parametrize(("users", "think", "servers"), [(1, 2.0, 1), (10, 5.0, 1), (30, 4.0, 3)])
def test_repairman_is_the_solution_of_its_markov_chain(
    users: int, think: float, servers: int
) -> None:
    p = birth_death(users + 1, lambda n: (users - n) / think, lambda n: float(min(n, servers)))
    rate = float(sum(q * min(n, servers) for n, q in enumerate(p)))
    found_rate, response = theory.repairman(users, think, 1.0, servers)
    assert found_rate == pytest.approx(rate, rel=1e-9)
    length = float(p @ np.arange(users + 1))
    assert response == pytest.approx(length / rate, rel=1e-8)


def test_users_that_do_not_think_keep_the_servers_busy() -> None:
    assert theory.repairman(10, 0.0, 0.5, 2) == (4.0, 2.5)
    rate, response = theory.repairman(10, 1e-9, 0.5, 2)
    assert (rate, response) == pytest.approx((4.0, 2.5), rel=1e-6)


def test_many_users_do_not_overflow() -> None:
    rate, response = theory.repairman(20_000, 1.0, 0.001, 4)
    assert rate == pytest.approx(4000.0)
    assert response == pytest.approx(20_000 / 4000 - 1.0)


@pytest.mark.parametrize("users", [1, 5, 40])
def test_mean_value_analysis_of_one_station_is_the_repairman(users: int) -> None:
    assert theory.mva(users, [0.2], 3.0) == pytest.approx(theory.repairman(users, 3.0, 0.2))


def test_mean_value_analysis_is_the_convolution_of_buzen() -> None:
    demands, think, users = [0.2, 0.5, 0.1], 1.5, 8
    # G(n) over the delay station first: think^n / n!, then each queue adds D * G(n - 1).
    g = [think**n / math.factorial(n) for n in range(users + 1)]
    for demand in demands:
        for n in range(1, users + 1):
            g[n] += demand * g[n - 1]
    rate = g[users - 1] / g[users]
    assert theory.mva(users, demands, think) == pytest.approx((rate, users / rate - think))


def test_balanced_stations_have_the_textbook_throughput() -> None:
    # n / (D (n + K - 1)): Lazowska et al., Quantitative System Performance, 5.
    rate, _ = theory.mva(7, [0.25] * 4)
    assert rate == pytest.approx(7 / (0.25 * (7 + 4 - 1)))


# -- the approximation ---------------------------------------------------------------------------


def test_allen_cunneen_is_exact_for_mmc_and_mg1() -> None:
    assert theory.allen_cunneen_wait(3.0, 1.0, 4, 1.0, 1.0) == theory.mmc_wait(3.0, 1.0, 4)
    expected = theory.mg1_wait(0.7, 1.0, 4.0)
    assert theory.allen_cunneen_wait(0.7, 1.0, 1, 1.0, 4.0) == pytest.approx(expected)


# -- formulas and recursions of the tests agree --------------------------------------------------


def test_the_recursion_for_several_servers_is_lindleys_for_one() -> None:
    rng = generator(300)
    arrival = np.cumsum(rng.exponential(1.0, 2000))
    service = rng.exponential(0.9, 2000)
    one = multi_server_start(arrival, service, 1)
    np.testing.assert_allclose(lindley_start(arrival, service), one, rtol=0, atol=1e-9)
