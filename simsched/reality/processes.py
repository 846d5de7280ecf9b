"""Child processes that end with us, and what the kernel knows of them."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Child", "RunFailed", "Usage", "put_first", "python", "script"]

HERE = Path(__file__).parent
INJECTOR_PRIORITY = 50
CLIENT_PRIORITY = 49
"""Real-time priorities: above every ordinary thread, below the kernel's own threads (99)."""

FIRST = -20
"""Priority (nice) of what is measured, where it is granted: other programs come after it."""

STOP_AFTER_S = 2.0
"""How long a process may take to end after it was asked to, before it is killed."""


class RunFailed(RuntimeError):
    """A real runtime could not be started, ended too early, or took too long."""


def python() -> list[str]:
    """The interpreter that runs us, without the script's own folder on its path."""
    return [sys.executable, "-P"]


def script(name: str) -> list[str]:
    """The command that runs a script of this folder."""
    return [*python(), str(HERE / name)]


class Usage:
    """CPU time, memory and threads of a process and its descendants, read from the kernel."""

    def __init__(self, pid: int) -> None:
        self.pids = [pid, *descendants(pid)]
        self.cpu_s = sum(map(cpu_seconds, self.pids))
        self.rss_kb = sum(status(pid, "VmRSS") for pid in self.pids)
        self.high_water_kb = sum(status(pid, "VmHWM") for pid in self.pids)
        self.threads = sum(status(pid, "Threads") for pid in self.pids)


def put_first(pid: int) -> None:
    """Let a process run before others, if that is granted: in its session, and its session."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, FIRST)
        # Where sessions are groups of the scheduler (sched(7), autogroup), nice counts within one.
        Path(f"/proc/{pid}/autogroup").write_text(str(FIRST))


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process, ended ones too; 0.0 if it is gone.

    The clock of another process is numbered as clock_getcpuclockid(3) does: the complement of the
    process id, and CPUCLOCK_SCHED (2) in the lowest three bits.
    """
    try:
        return time.clock_gettime(((~pid) << 3) | 2)
    except OSError:
        return 0.0


def status(pid: int, key: str) -> int:
    """A number of /proc/PID/status; 0 if the process is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1])
    return 0


def descendants(pid: int) -> list[int]:
    """Process ids of children and theirs."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                for child in (task / "children").read_text().split():
                    found += [int(child), *descendants(int(child))]
    return found


class Child:
    """A process in a group of its own: pinned, and killed with all of its group on leaving.

    Use as a context manager. Should we be killed ourselves, the kernel kills it.
    """

    def __init__(
        self,
        command: Sequence[str],
        cpus: Iterable[int],
        *,
        priority: int = 0,
        stdin: int | IO[bytes] = subprocess.PIPE,
        stdout: int | IO[bytes] = subprocess.PIPE,
        environment: Mapping[str, str] | None = None,
        pass_fds: Sequence[int] = (),
        log: Path,
    ) -> None:
        self.name = Path(command[0]).name
        self.log = log
        pinned = [*script("launch.py"), str(os.getpid()), ",".join(map(str, cpus)), str(priority)]
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*pinned, *command],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                pass_fds=tuple(pass_fds),
                env={**os.environ, **(environment or {})},
            )
        self._rest = b""

    @property
    def pid(self) -> int:
        """Process id; the launcher becomes the command, so it is the command's."""
        return self.process.pid

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it and all it started: politely, then not."""
        for sign, patience in ((signal.SIGTERM, STOP_AFTER_S), (signal.SIGKILL, None)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def line(self, timeout_s: float) -> dict[str, Any]:
        """The next JSON line of its standard output.

        Raises:
            RunFailed: If it ends or says nothing for `timeout_s`; with what it complained of.
        """
        told = self.next_line(timeout_s)
        if told is None:
            raise RunFailed(f"{self.name} ended too early{self.complaint()}")
        return told

    def next_line(self, timeout_s: float) -> dict[str, Any] | None:
        """The next JSON line of its standard output, or None at the end of it.

        Raises:
            RunFailed: If it says nothing for `timeout_s`, or anything but JSON.
        """
        assert self.process.stdout is not None
        fd = self.process.stdout.fileno()
        end = time.monotonic() + timeout_s
        while b"\n" not in self._rest:
            ready, _, _ = select.select([fd], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise RunFailed(f"{self.name} said nothing for {timeout_s:g} s{self.complaint()}")
            more = os.read(fd, 65536)
            if not more:
                return None
            self._rest += more
        line, self._rest = self._rest.split(b"\n", 1)
        try:
            told: dict[str, Any] = json.loads(line)
        except ValueError:
            raise RunFailed(f"{self.name} said {line[:200]!r}, not JSON") from None
        return told

    def go(self) -> None:
        """One byte to its standard input: the word to start."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"g")
        self.process.stdin.flush()

    def wait(self, timeout_s: float) -> None:
        """Wait for its end.

        Raises:
            RunFailed: If it takes longer than `timeout_s`, or its exit status is not 0.
        """
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise RunFailed(f"{self.name} took longer than {timeout_s:g} s") from None
        if code != 0:
            raise RunFailed(f"{self.name} ended with status {code}{self.complaint()}")

    def complaint(self) -> str:
        """The last lines of its standard error, for a message."""
        text = self.log.read_text(errors="replace").strip().splitlines()[-4:]
        return ": " + " | ".join(text) if text else ""
