"""The observer protocol: schedulers emit, observers judge.

A scheduler computes no statistic. It tells what happens through :class:`Observers`, a hub that
passes each event to the observers that care about it. An event nobody listens to costs one call of
an empty function; with one listener the hub *is* that listener's bound method.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import isfunction
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from simsched.sim.network import Connection
    from simsched.sim.os_thread import OsThread
    from simsched.sim.task import Task


class Observer:
    """Does nothing; override the events you need. All times are simulated seconds."""

    patient: ClassVar[bool] = False
    """Whether it does not mind to be told late: every event carries the time at which it happened,
    and those of one task come in order, but others may have been told before that happened after.
    If all observers are patient, schedulers need not stop for what nobody acts upon."""

    def arrived(self, now: float, task: Task) -> None:
        """A request arrives (its first attempt)."""

    def entered(self, now: float, task: Task, phase: int) -> None:
        """The task goes from its present part of the breakdown (``task.phase``) to ``phase``."""

    def worked(self, now: float, task: Task, overhead_s: float, thread: OsThread) -> None:
        """A run of ``thread`` for ``task`` has ended.

        Of its time ``overhead_s`` went to the runtime, ``thread.cost_s`` to the kernel (switches,
        wake-ups), and for ``thread.waited_s`` there was no core.
        """

    def retried(self, now: float, task: Task, again: Task) -> None:
        """The client will send the request once more, as ``again``, after its back-off."""

    def resent(self, now: float, task: Task) -> None:
        """The back-off is over and the attempt is sent."""

    def ended(self, now: float, task: Task, outcome: int) -> None:
        """The request has its terminal outcome, once per request."""

    def released(self, now: float, task: Task) -> None:
        """A cancelled attempt, of which the client expects nothing any more, has let go of all."""

    def queued(self, now: float, task: Task, queue: str) -> None:
        """The task was put at the tail of a queue that promises first come, first served."""

    def dequeued(self, now: float, task: Task, queue: str) -> None:
        """The task was taken from the head of that queue."""

    def forked(self, now: float, task: Task, branch: Task) -> None:
        """A ``parallel`` step of ``task`` has made ``branch``, which is queued to be run."""

    def joined(self, now: float, branch: Task) -> None:
        """A branch has ended (or has noticed that it was cancelled) and let go of all."""

    def blamed(
        self, now: float, cause: str, victim: int, culprit: int, step: str, seconds: float
    ) -> None:
        """A request of class ``victim`` waited ``seconds`` because of one of class ``culprit``.

        ``cause`` is what it waited for, such as "gil"; ``step`` names what the culprit did
        meanwhile. Class -1 is the runtime itself.
        """

    def moved(self, now: float, task: Task, place: str) -> None:
        """The task is about to queue for the threads of an executor, such as "pool:anyio".

        With "" it goes back to the workers of the scheduler itself. Told before it is queued.
        """

    def bound(self, now: float, task: Task, place: str, thread: int) -> None:
        """There, the task waits for this one thread of several. Told after ``moved``."""

    def pinned(self, now: float, task: Task) -> None:
        """The task waits and keeps the slot it has, so that nobody else runs. Told as it begins."""

    def lost(self, now: float, task: Task) -> None:
        """The slot that a task kept while it waits is taken from it."""

    def occupied(self, since_s: float, now: float, process: int) -> None:
        """The runtime had one of its own slots until now, for work of its own."""

    def asked(self, now: float, task: Task, name: str) -> None:
        """The task is about to wait for a permit of a resource."""

    def took(self, now: float, task: Task, name: str) -> None:
        """The task has got a permit of a resource."""

    def gave(self, now: float, task: Task, name: str) -> None:
        """The task has given a permit back."""

    def step_started(self, now: float, task: Task) -> None:
        """The task begins the step ``task.pc``."""

    def step_ended(self, now: float, task: Task) -> None:
        """The task has completed the step ``task.pc``."""

    def connection(self, now: float, connection: Connection, event: str) -> None:
        """What becomes of a connection at the server, if connections are modelled.

        It is "queued" for being accepted, "accepted" by ``connection.process``, and "closed".
        """

    def wants_connection(self, now: float, task: Task) -> None:
        """A request waits for a connection, or for that to be established."""

    def in_line(self, now: float, task: Task) -> None:
        """The connection of a request stands in the accept queue."""

    def is_connected(self, now: float, task: Task) -> None:
        """A process of the server has the connection of a request that had to wait for that."""

    def connections_full(self, now: float, full: bool) -> None:
        """No process of the server accepts any more connections, or one does again."""

    def served(self, now: float, task: Task, change: int) -> None:
        """A process reads a request off its connection (+1), or is rid of it (-1)."""

    def on_core(self, now: float, core: int, thread: OsThread) -> None:
        """A thread gets a core (``now`` may lie ahead by a wake-up latency)."""

    def off_core(self, now: float, core: int, thread: OsThread) -> None:
        """A thread leaves a core."""

    def core_away(self, now: float, core: int, change: int) -> None:
        """The hypervisor takes a virtual core away (+1), or gives it back (-1)."""

    def throttled(self, now: float, core: int, change: int) -> None:
        """A core is stopped (+1) because the CPU quota is used up, or may go on (-1)."""

    def switched(self, now: float, seconds: float) -> None:
        """A core turns to another thread, at a cost of ``seconds``."""

    def core_queue(self, now: float, change: int) -> None:
        """The number of runnable threads without a core changes."""

    def busy(self, now: float, worker: str, change: int) -> None:
        """A worker starts (+1) or stops (-1) carrying tasks."""

    def threads(self, now: float, change: int) -> None:
        """The number of OS threads of the runtime changes."""

    def overhead(self, now: float, seconds: float) -> None:
        """CPU time goes to the runtime or the kernel instead of to requests."""

    def resource(self, now: float, name: str, change: int) -> None:
        """Permits of a resource are taken (+) or given back (-)."""

    def resource_waited(self, now: float, name: str, seconds: float) -> None:
        """A task got a permit after waiting ``seconds`` (0 without a wait)."""

    def counted(self, name: str, n: int) -> None:
        """Something the runtime counts has happened ``n`` times."""

    def spent(self, name: str, seconds: float) -> None:
        """Something the runtime clocks took ``seconds``."""

    def stalled(self, start_s: float, end_s: float) -> None:
        """The one worker there is was busy from ``start_s`` until it polled at ``end_s``."""


def _nothing(*_: Any) -> None:
    return None


def _fan_out(methods: Sequence[Callable[..., None]]) -> Callable[..., None]:
    def call_all(*args: Any) -> None:
        for method in methods:
            method(*args)

    return call_all


EVENTS = tuple(name for name, what in vars(Observer).items() if isfunction(what))


DETAILS = ("queued", "dequeued", "step_started", "step_ended")


class Observers(Observer):
    """The hub. Its methods are replaced per instance by what the observers need.

    ``detailed`` tells whether anybody listens to the events in ``DETAILS``; schedulers skip those
    otherwise, because they would be a third of all calls. ``all_patient`` tells whether all
    observers are patient.
    """

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        for name in EVENTS:
            listeners = [
                getattr(observer, name)
                for observer in observers
                if getattr(type(observer), name) is not getattr(Observer, name)
            ]
            if not listeners:
                hook: Callable[..., None] = _nothing
            elif len(listeners) == 1:
                hook = listeners[0]
            else:
                hook = _fan_out(listeners)
            setattr(self, name, hook)
        self.detailed = any(getattr(self, name) is not _nothing for name in DETAILS)
        self.all_patient = all(observer.patient for observer in observers)
