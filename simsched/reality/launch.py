"""Starts a command so that it cannot outlive whoever asked for it.

Run as a script, with the standard library only: asks the kernel to kill this process when its
parent ends, pins it to CPUs, asks for real-time priority if wanted, and becomes the command. Done
here and not between fork and exec, which is unsafe in a process that has threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""linux/prctl.h."""


def die_with_parent(parent: int | None = None) -> None:
    """Have the kernel kill this process when its parent ends.

    Args:
        parent: process id of the parent; if it has ended already, so does this process.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if parent is not None and os.getppid() != parent:
            os._exit(1)


def main(arguments: list[str]) -> None:
    """Become a command: ``PARENT CPUS(0,1) PRIORITY(0: normal) COMMAND ...``."""
    parent, cpus, priority, *command = arguments
    die_with_parent(int(parent))
    os.sched_setaffinity(0, {int(cpu) for cpu in cpus.split(",")})
    if int(priority) > 0:
        # Without the right to it, it stays as it is; whoever asked looks at the policy.
        with contextlib.suppress(PermissionError):
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(int(priority)))
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
