"""What the exit status of `simsched` means."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of a command, for scripts and pipelines."""

    OK = 0
    """Done, and no objective failed."""
    INTERNAL = 1
    """A bug in simsched, or a lack of memory or of room on the disk."""
    USAGE = 2
    """A wrong command line, an invalid scenario, or a folder that cannot be written."""
    INCONCLUSIVE = 4
    """With --strict: an objective is neither proven kept nor proven broken."""
    SLO_FAILED = 99
    """An objective failed for at least one scheduler (the number k6 uses for its thresholds)."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C; replications that were finished are reported."""
