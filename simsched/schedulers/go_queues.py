"""The run queues of a Go P: one slot for the next goroutine, a ring of 256, and overflow.

Follows ``runqput``, ``runqputslow``, ``runqget`` and ``runqgrab`` in Go 1.25 ``runtime/proc.go``.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simsched.sim.task import Task

RING_SIZE = 256  # len(p.runq)


class RunQueue:
    """The local queue of one P."""

    __slots__ = ("next", "ring")

    def __init__(self) -> None:
        self.next: Task | None = None
        self.ring: deque[Task] = deque()

    def __len__(self) -> int:
        return len(self.ring) + (self.next is not None)

    def put(self, g: Task, global_queue: deque[Task], *, as_next: bool) -> None:
        """Add ``g``: into ``runnext``, kicking out who is there, or at the ring's tail.

        A full ring gives its older half and the newcomer to the global queue.
        """
        if as_next:
            kicked, self.next = self.next, g
            if kicked is None:
                return
            g = kicked
        if len(self.ring) < RING_SIZE:
            self.ring.append(g)
            return
        for _ in range(RING_SIZE // 2):
            global_queue.append(self.ring.popleft())
        global_queue.append(g)

    def get(self) -> tuple[Task | None, bool]:
        """The goroutine to run next, and whether it inherits the time slice (``runnext`` does)."""
        g = self.next
        if g is not None:
            self.next = None
            return g, True
        if self.ring:
            return self.ring.popleft(), False
        return None, False

    def grab(self) -> list[Task]:
        """What a thief takes: the older half of the ring, rounded up."""
        n = len(self.ring)
        if not n:
            return []
        return [self.ring.popleft() for _ in range(n - n // 2)]
