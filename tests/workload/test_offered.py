"""The offered load of a hand-made trace, reckoned on paper."""

from __future__ import annotations

from pathlib import Path

import pytest

from simsched.workload import draw

from .scenarios import request_class, scenario

READ = request_class(
    "read",
    {"cpu": "1ms"},
    {
        "use": "db",
        "steps": [
            {"io": {"column": "query_ms"}},
            {"lock": "row", "steps": [{"cpu": "2ms"}, {"blocking": "3ms"}]},
            {"io": "4ms"},
        ],
    },
    {"sleep": "10ms"},
)
WRITE = request_class(
    "write", {"cpu": {"column": "cpu_ms"}}, {"use": "db", "steps": [{"io": "1ms"}]}
)

TRACE = """\
arrival_s,class,query_ms,cpu_ms
0.0,read,5,
0.1,write,,4
0.2,read,7,
"""


@pytest.fixture
def offered(tmp_path: Path) -> dict[str, object]:
    (tmp_path / "trace.csv").write_text(TRACE)
    made = scenario(
        READ,
        WRITE,
        arrivals={"kind": "trace", "file": "trace.csv"},
        duration="1s",
        resources=["db"],
        base_dir=tmp_path,
    )
    return dict(draw(made, 0).offered())


def test_requests_and_window(offered: dict[str, object]) -> None:
    assert offered["requests"] == 3
    assert offered["duration_s"] == 1.0


def test_cpu_is_the_sum_of_the_cpu_steps_alone(offered: dict[str, object]) -> None:
    assert offered["cpu_s"] == pytest.approx(2 * 0.003 + 0.004)


def test_a_resource_is_held_through_all_steps_inside_it(offered: dict[str, object]) -> None:
    read = (0.005 + 0.005 + 0.004) + (0.007 + 0.005 + 0.004)
    assert offered["resources"] == {
        "db": pytest.approx(read + 0.001),
        "lock:row": pytest.approx(2 * 0.005),
    }


def test_busy_time_is_the_sum_of_all_steps(offered: dict[str, object]) -> None:
    assert offered["busy_s"] == pytest.approx((0.025 + 0.027) + 0.005)


def test_each_class_has_its_own_part(offered: dict[str, object]) -> None:
    assert offered["classes"] == {
        "read": {
            "requests": 2,
            "cpu_s": pytest.approx(0.006),
            "busy_s": pytest.approx(0.052),
            "resources": {"db": pytest.approx(0.03), "lock:row": pytest.approx(0.01)},
        },
        "write": {
            "requests": 1,
            "cpu_s": pytest.approx(0.004),
            "busy_s": pytest.approx(0.005),
            "resources": {"db": pytest.approx(0.001)},
        },
    }
