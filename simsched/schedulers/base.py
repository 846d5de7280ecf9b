"""What all schedulers share: the small vocabulary in which they tell what they do."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from simsched.sim.clock import IO_DONE, Call
from simsched.sim.task import CPU, JOIN, OVERHEAD, RUN_QUEUE, Task
from simsched.workload.program import without_offload

if TYPE_CHECKING:
    from collections.abc import Callable

    from simsched.sim.machine import Machine
    from simsched.sim.network import Connection
    from simsched.workload.program import Op


class Scheduler(ABC):
    """A scheduler maps tasks to workers; the host maps workers to cores.

    It is told of tasks through :meth:`submit` and :meth:`cancel`, and answers through
    ``self.clients`` with exactly one of ``completed``, ``rejected``, ``failed`` or (for a cancelled
    task) ``abandoned`` for each task submitted.

    Where connections are modelled, one scheduler is one process of the server, and tasks come to it
    by way of its connections (:meth:`connection_waits` and what follows there).
    """

    kind: ClassVar[str]
    listens: ClassVar[bool] = False
    """Whether it cannot do without connections: the accept queue is part of how it schedules."""
    keeps_alive: ClassVar[bool] = True
    """Whether a connection can serve more than one request."""

    def __init__(self, machine: Machine, spec: Any) -> None:
        self.machine = machine
        self.spec = spec
        self.clock = machine.clock
        self.host = machine.host
        self.observers = machine.observers
        self.resources = machine.resources
        self.clients = machine.clients
        self.detailed = machine.observers.detailed
        self.entered = machine.observers.entered  # bound once: the most frequent events of all
        self.worked = machine.observers.worked
        self.network = machine.network
        self.connections: dict[Connection, None] = {}  # those it has accepted and not yet lost

    def adapt(self, ops: tuple[Op, ...]) -> tuple[Op, ...]:
        """The program as this runtime runs it: what it has no way to do is done otherwise.

        A runtime of threads, of whatever weight, does not offload blocking calls: it makes them.
        """
        return without_offload(ops)

    @abstractmethod
    def start(self) -> None:
        """Create the workers that exist before the first request."""

    @abstractmethod
    def submit(self, task: Task) -> None:
        """A request arrives."""

    @abstractmethod
    def cancel(self, task: Task) -> None:
        """The client has given up on ``task``: stop it where the real runtime would."""

    def expect(self, arrival_s: float, index: int) -> bool:
        """The next request will arrive then.

        A scheduler that looks for requests by itself returns True, and calls
        ``clients.send_next()`` when it looks, once it is ``arrival_s`` or later.
        """
        return False

    def catch_up(self, until_s: float, priority: float = math.inf) -> None:  # noqa: B027
        """Tell all that has happened before ``priority``'s turn at ``until_s``.

        It is asked of a scheduler before somebody looks at a task from outside: a client that
        gives up, or the end of the run. Only those that notice things late have to answer.
        """

    def end(self, now: float) -> None:  # noqa: B027 - most have nothing to add
        """The run is over: tell the observers of what is still under way."""

    @property
    @abstractmethod
    def worker_limit(self) -> int | None:
        """Most workers there can be at once; None if nothing limits them."""

    def held_phases(self) -> frozenset[int]:
        """Parts of the breakdown during which a task keeps a worker busy."""
        return frozenset({CPU, OVERHEAD})

    # -- connections -------------------------------------------------------------------------

    def connection_waits(self) -> None:
        """A connection is in the accept queue: it was put there, or may be accepted only now.

        Called for every process, the one first that fell asleep last (:meth:`Network.slept`). A
        process that is busy ignores it, and looks by itself when it comes to it.

        This one is an acceptor thread that does nothing else, so it is always there at once. One
        that blocks in ``accept`` waits in a queue for its turn, which goes round.
        """
        network = self.network
        assert network is not None
        while (connection := self.accept()) is not None:
            network.turn_passes(self)
            self.accepted(connection)

    def accept(self) -> Connection | None:
        """Take the head of the accept queue, unless it is empty or ``max_connections`` are open."""
        assert self.network is not None
        return self.network.accept(self)

    def accepted(self, connection: Connection) -> None:
        """The process has accepted: read the request, if it is there already.

        The client may have closed the connection long ago, which shows only now.
        """
        if connection.request is not None:
            self.read(connection)

    def readable(self, connection: Connection) -> None:
        """The bytes of a request have come on an open connection of this process."""
        self.read(connection)

    def read(self, connection: Connection) -> Task | None:
        """Read the request that waits on a connection, and submit it; None if there is none."""
        assert self.network is not None
        task = self.network.read(connection)
        if task is not None:
            self.submit(task)
        return task

    def closed(self, connection: Connection) -> None:
        """A connection of this process is closed, by whichever side: it may accept again.

        It may be called from within ``clients.completed`` and the like: look later.
        """
        assert self.network is not None
        self.network.look_again(self)

    # -- vocabulary --------------------------------------------------------------------------

    def enter(self, task: Task, phase: int) -> None:
        """The task's time belongs to another part of the breakdown from now on."""
        self.entered(self.clock.now, task, phase)

    def step_done(self, task: Task) -> None:
        """The step the task stands at is complete, unless the task is broken: it has failed."""
        if self.detailed and not task.broken:
            self.observers.step_ended(self.clock.now, task)
        task.pc += 1

    def runs_again(self, task: Task) -> None:
        """What the task waited for has come: its step is complete, and it is runnable."""
        task.wait = None
        self.step_done(task)
        self.enter(task, RUN_QUEUE)

    def after(self, delay_s: float, task: Task, function: Callable[[Call], None]) -> None:
        """Have ``function`` called with the task when its I/O or timer completes."""
        clock = self.clock
        index = task.index
        task.wait = clock.call_at(clock.now + delay_s, IO_DONE | index, function, task)

    def release(self, task: Task, op: Op) -> Task | None:
        """Give a permit back; returns the task it passes to, if that is for this process to do."""
        return self._own(self.resources[op.arg].release(task))

    def _own(self, heir: Task | None) -> Task | None:
        """A task of another process is told of its permit there."""
        if heir is None or heir.process == self.machine.process:
            return heir
        assert self.network is not None
        self.network.processes[heir.process].granted(heir)
        return None

    def granted(self, heir: Task) -> None:
        """Another process has passed a permit on to a task of this one.

        That is enough where a thread sleeps until it has the permit.
        """
        assert heir.wake is not None
        self.clock.wake(heir.wake)
        heir.wake = None

    def drop_held(self, task: Task) -> list[Task]:
        """Give back all that a cancelled or broken task holds; returns the tasks it passes to."""
        heirs = []
        while task.held:
            heir = self._own(task.held[-1].release(task))
            if heir is not None:
                heirs.append(heir)
        return heirs

    def ends(self, task: Task) -> None:
        """The request is over, and holds nothing: tell its client, if that still listens."""
        if task.cancelled:
            self.clients.abandoned(task)
        elif task.broken:
            self.clients.failed(task)
        else:
            self.clients.completed(task)

    # -- branches of a parallel step ---------------------------------------------------------

    def fork(self, task: Task, op: Op) -> list[Task]:
        """Make the branches of the ``parallel`` step ``op``; the task waits for them from now on.

        They are for the scheduler to run. Clients never hear of them: a branch that ends is told
        to :meth:`branch_ended`.
        """
        now = self.clock.now
        branches = [Task.branch(task, ops, now) for ops in op.branches]
        task.branches = branches.copy()
        for branch in branches:
            self.observers.forked(now, task, branch)
        self.enter(task, JOIN)
        return branches

    def branch_ended(self, branch: Task) -> Task | None:
        """A branch is over and holds nothing; returns its parent if no other branch is left.

        The parent can then be run again. Its step has still to be ended (``step_done``), unless it
        was cancelled: then no step follows. None follows either if a branch has failed, for which
        the parent waits until all have ended.
        """
        parent = branch.parent
        assert parent is not None
        parent.branches.remove(branch)
        branch.over = True
        parent.broken |= branch.broken
        self.observers.joined(self.clock.now, branch)
        if parent.branches:
            return None
        self.enter(parent, RUN_QUEUE)
        return parent

    def cancel_branches(self, task: Task) -> bool:
        """Cancel whatever branches ``task`` waits for; False if it waits for none."""
        if not task.branches:
            return False
        for branch in task.branches.copy():
            branch.cancelled = True
            self.cancel(branch)
        return True
