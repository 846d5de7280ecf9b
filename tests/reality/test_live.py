"""Real runtimes, one to two seconds each; skipped where a toolchain is missing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simsched.reality import RecordPlan, record
from simsched.reality.processes import Child, RunFailed, descendants

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="recording needs Linux")

RUNTIMES = (
    "asyncio", "asyncio_block", "uvloop", "tpe8", "go1", "vt1", "jf8",
    "http_fa_async", "http_fa_def", "http_fa_block", "http_gsync2", "http_gthread8",
    "http_goweb1", "http_jw8", "http_jwvt1",
)  # fmt: skip


@LINUX
@pytest.mark.slow
@pytest.mark.parametrize("name", RUNTIMES)
def test_a_runtime_answers_every_request_and_never_too_early(name: str, tmp_path: Path) -> None:
    plan = RecordPlan((name,), ("io_heavy",), (0.1,), duration_s=1.5)
    recorded = record(plan, tmp_path)
    if recorded.skipped and "is not here" in recorded.skipped[0].reason:
        pytest.skip(recorded.skipped[0].reason)
    assert not recorded.skipped
    (made,) = json.loads((tmp_path / "index.json").read_text())
    arrays = np.load(tmp_path / "cases" / f"{made['id']}.npz")
    assert made["lat_us"]["done"] == made["lat_us"]["n"] > 0
    # A request cannot be faster than its wait, but for uvloop's clock of whole milliseconds.
    early = 1000 if made["runtime"] in ("uvloop", "http_fa_async") else 0
    assert (arrays["latency_us"] >= arrays["io_us"] - early).all()
    assert made["cpu_s"] > 0
    if made["kind"] == "inproc":
        parts = ("inject_us", "wait_us", "phase1_us", "iowait_us", "phase2_us")
        gap = arrays["latency_us"] - sum(arrays[part].astype(int) for part in parts)
        assert (np.abs(gap) <= len(parts)).all()  # each part is in whole microseconds


@LINUX
def test_what_a_child_started_ends_with_it(tmp_path: Path) -> None:
    command = ["sh", "-c", "sleep 60 & echo $!; wait"]
    with Child(command, os.sched_getaffinity(0), log=tmp_path / "log") as child:
        assert child.process.stdout is not None
        grandchild = int(child.process.stdout.readline())
    assert ends(grandchild)


@LINUX
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    text = (
        "import os; from pathlib import Path; from simsched.reality.processes import Child\n"
        f"log = Path({str(tmp_path / 'log')!r})\n"
        "child = Child(['sleep', '60'], os.sched_getaffinity(0), log=log)\n"
        "import time\n"
        "while Path(f'/proc/{child.pid}/comm').read_text() != 'sleep\\n': time.sleep(0.01)\n"
        "print(child.pid, flush=True); input()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    assert ends(pid)


@LINUX
@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
def test_nothing_of_a_measurement_outlives_the_command(
    tmp_path: Path, sign: signal.Signals
) -> None:
    command = [sys.executable, "-m", "simsched", "validate", "--runtime", "asyncio", "--no-open"]
    with subprocess.Popen(
        [*command, "--duration", "30", "--quiet", "--out", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        begun = within(60.0, lambda: len(descendants(process.pid)) >= 2)
        children = descendants(process.pid)
        process.send_signal(sign)
        process.wait(60.0)
    assert begun
    assert process.returncode in (130, -signal.SIGKILL)
    assert all(ends(pid) for pid in children)


@LINUX
def test_a_child_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    with (
        Child(["sleep", "60"], os.sched_getaffinity(0), log=tmp_path / "log") as child,
        pytest.raises(RunFailed, match="said nothing"),
    ):
        child.line(0.05)


def within(seconds: float, true: Callable[[], bool]) -> bool:
    """Whether something comes true in that time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.01)
    return False


def ends(pid: int) -> bool:
    """Whether a process is gone, or dead and not yet waited for, within five seconds."""

    def gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except FileNotFoundError:
            return True

    return within(5.0, gone)
