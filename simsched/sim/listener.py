"""The kernel's side of a listening socket: the accept queue, and what happens when it is full.

A connection is established by the kernel and waits in the accept queue until a process of the
server accepts it; the client does not notice the difference, and sends at once. ``listen(backlog)``
admits ``backlog + 1`` connections, where the backlog is capped by ``net.core.somaxconn``.

Who finds the queue full is not refused: Linux drops the packet, and the client's kernel tries again
later, as for any lost packet. So an overloaded server shows as a comb of latencies, whole seconds
apart, and not as an error. Since Linux 6.5 the first four retries come a second apart
(``tcp_syn_linear_timeouts``); those that follow, or all of them before 6.5, wait twice as long each
time. Only ``tcp_abort_on_overflow`` makes the server answer with a reset.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simsched.scenario import Host as HostSpec
    from simsched.schedulers.base import Scheduler
    from simsched.sim.clock import Call
    from simsched.sim.task import Task

FIRST_TIMEOUT_S = 1.0  # include/net/tcp.h: TCP_TIMEOUT_INIT
LONGEST_TIMEOUT_S = 120.0  # include/net/tcp.h: TCP_RTO_MAX


def syn_schedule_s(retries: int, linear_timeouts: int) -> tuple[list[float], float]:
    """When a SYN is sent again, in seconds after the first one, and when the kernel gives up.

    Linux net/ipv4/tcp_timer.c: ``tcp_syn_linear_timeouts`` retries a second apart come on top of
    the ``tcp_syn_retries`` with exponential back-off; then ETIMEDOUT.
    """
    now, tries = 0.0, []
    for i in range(linear_timeouts + retries + 1):
        doubled = min(max(0, i - linear_timeouts), 7)
        now += min(FIRST_TIMEOUT_S * 2**doubled, LONGEST_TIMEOUT_S)
        tries.append(now)
    return tries[:-1], tries[-1]


class Connection:
    """One TCP connection, from the client's first SYN until both sides have closed it."""

    __slots__ = (
        "doomed", "established", "id", "idle_since_s", "open", "process", "reading", "request",
        "served", "syn", "syn_at_s", "task", "timer", "tries", "user",
    )  # fmt: skip

    def __init__(self, number: int, user: int = -1) -> None:
        self.id = number
        self.user = user  # whose it is, in a closed workload
        self.open = True  # neither side has closed it
        self.established = False  # the client may send
        self.process: Scheduler | None = None  # the one that accepted it, as long as that has it
        self.task: Task | None = None  # the attempt for which the client uses it
        self.request: Task | None = None  # its bytes have been sent and are not read yet
        self.reading: Task | None = None  # they have been read; the response is not sent yet
        self.served = 0  # requests
        self.doomed = False  # it is closed after the response in any case
        self.idle_since_s = 0.0
        self.timer: Call | None = None  # of the server, for idle connections
        self.syn: Call | None = None  # the next try to connect
        self.syn_at_s = 0.0  # the first one
        self.tries = 0

    def __repr__(self) -> str:
        return f"<Connection {self.id}>"


class Listener:
    """The listening socket that all processes of a server share."""

    def __init__(self, backlog: int, host: HostSpec) -> None:
        self.limit = min(backlog, host.os.somaxconn) + 1
        self.queue: deque[Connection] = deque()
        self.highest = 0  # most connections that waited at once
        self.aborts = host.os.tcp_abort_on_overflow
        self.retry_s, self.give_up_s = syn_schedule_s(
            host.os.tcp_syn_retries, host.os.tcp_syn_linear_timeouts
        )

    def admits(self, connection: Connection) -> bool:
        """Put a connection at the tail of the accept queue, unless that is full."""
        if len(self.queue) >= self.limit:
            return False
        self.queue.append(connection)
        self.highest = max(self.highest, len(self.queue))
        return True
