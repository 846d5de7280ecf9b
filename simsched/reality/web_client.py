"""Sends each request of a trace to a web server when the injector says so, and times the answers.

Run as a script, with the standard library only (and uvloop, if it is here): ``PORT KEEPALIVE TRACE
OUT LIMIT WARM``. Open loop: an arrival takes an idle connection or opens one, whatever the server
does. Standard input is the injector's pipe; the JSON lines are those of the drivers.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import resource
import struct
import sys
import time
from array import array
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
busy: Any = importlib.import_module("busy")

HOST = "127.0.0.1"
MOST_CONNECTIONS = 4_000
WARM_CONNECTIONS = 8
WARM_LIMIT_S = 20.0

now = time.monotonic_ns


class Connection(asyncio.Protocol):
    """One connection: sends a request, finds the end of the answer."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.transport: asyncio.Transport | None = None
        self.request = -1
        self.used = False
        self.data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it

    def send(self, i: int) -> None:
        """Send request `i`."""
        assert self.transport is not None
        self.request, self.data = i, b""
        self.transport.write(self.client.message(i))

    def data_received(self, data: bytes) -> None:
        """The answer is whole after the head and as many bytes as it announces."""
        self.data += data
        head, found, body = self.data.partition(b"\r\n\r\n")
        if not found or self.request < 0:
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        if at >= 0:
            whole = len(body) >= int(lower[at + 15 :].split(b"\r\n", 1)[0])
        else:  # chunked
            whole = body.endswith(b"0\r\n\r\n")
        if whole:
            i, self.request, self.used = self.request, -1, True
            self.client.answered(self, i, b" 200 " in head[:16])

    def connection_lost(self, exc: Exception | None) -> None:
        """The server closed it: send the request again if it had no chance on this connection."""
        i, self.request = self.request, -1
        self.client.lost(self, i)


class Client:
    """Connections, and when each request was answered in ns since the start (-1: never)."""

    def __init__(self, port: int, keepalive: bool, trace: str) -> None:
        with open(trace, "rb") as file:
            (self.n,) = struct.unpack("<q", file.read(8))
            file.seek(8 * self.n, os.SEEK_CUR)
            self.columns = [array("i"), array("i"), array("i")]
            for column in self.columns:
                column.fromfile(file, self.n)
        self.port, self.keepalive = port, keepalive
        self.start = 0
        self.ended = array("q", [-1]) * self.n
        self.idle: list[Connection] = []
        self.waiting: list[int] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self.open = self.finished = self.failed = 0
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self.loop.create_future()
        self.warming: dict[int, asyncio.Future[None]] = {}

    def message(self, i: int) -> bytes:
        """The request as bytes; indices from n on are warm-up requests."""
        c1, io, c2 = (100, 1000, 100) if i >= self.n else (column[i] for column in self.columns)
        alive = "keep-alive" if self.keepalive else "close"
        return (
            f"GET /work?c1={c1}&io={io}&c2={c2} HTTP/1.1\r\n"
            f"Host: {HOST}\r\nConnection: {alive}\r\n\r\n"
        ).encode()

    def arrive(self, i: int) -> None:
        """Send request `i` on an idle connection or a new one."""
        while self.idle:
            connection = self.idle.pop()
            if connection.transport is not None and not connection.transport.is_closing():
                connection.send(i)
                return
        if self.open >= MOST_CONNECTIONS:
            self.waiting.append(i)
            return
        self.open += 1
        task = self.loop.create_task(self._connect(i))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _connect(self, i: int) -> None:
        try:
            _, connection = await self.loop.create_connection(
                lambda: Connection(self), HOST, self.port
            )
        except OSError:
            self.open -= 1
            self._finish(i, False)
            return
        connection.send(i)

    def answered(self, connection: Connection, i: int, ok: bool) -> None:
        """Note the answer to `i`; the connection is free for the next."""
        if i < self.n and ok:
            self.ended[i] = now() - self.start
        if self.keepalive:
            self.idle.append(connection)
        elif connection.transport is not None:
            connection.transport.close()
        self._finish(i, ok)
        if self.waiting and self.keepalive:
            self.arrive(self.waiting.pop(0))

    def lost(self, connection: Connection, i: int) -> None:
        """A connection ended; with a request that was just sent, send that again."""
        self.open -= 1
        with contextlib.suppress(ValueError):
            self.idle.remove(connection)
        if i >= 0 and connection.used:
            self.arrive(i)
        elif i >= 0:
            self._finish(i, False)
        if self.waiting and self.open < MOST_CONNECTIONS:
            self.arrive(self.waiting.pop(0))

    def _finish(self, i: int, ok: bool) -> None:
        if i >= self.n:
            self.warming.pop(i).set_result(None)
            return
        self.finished += 1
        self.failed += not ok
        if self.finished == self.n and not self.done.done():
            self.done.set_result(None)

    def _give_up(self) -> None:
        if not self.done.done():
            self.done.set_result(None)

    async def warm(self, count: int) -> None:
        """Small requests, a few at a time, until the server has seen enough of them."""
        end = now() + WARM_LIMIT_S * 1e9
        for first in range(0, count, WARM_CONNECTIONS):
            batch = range(self.n + first, self.n + min(first + WARM_CONNECTIONS, count))
            futures = [self.loop.create_future() for _ in batch]
            self.warming.update(zip(batch, futures, strict=True))
            for i in batch:
                self.arrive(i)
            await asyncio.wait_for(asyncio.gather(*futures), WARM_LIMIT_S)
            if now() > end:
                break

    async def run(self, limit_s: float) -> None:
        """Send what the pipe says, until all is answered or the time is up."""
        left = b""

        def readable() -> None:
            nonlocal left
            left += os.read(0, 65536)
            if not self.start:
                (self.start,), left = struct.unpack("<q", left[:8]), left[8:]
                self.loop.call_later(limit_s, self._give_up)
            indices = array("i")
            cut = len(left) & ~3
            indices.frombytes(left[:cut])
            left = left[cut:]
            for i in indices:
                self.arrive(i)
            if indices and indices[-1] == self.n - 1:
                self.loop.remove_reader(0)

        self.loop.add_reader(0, readable)
        if self.n:
            await self.done


async def main(port: int, keepalive: int, trace: str, out: str, limit_s: float, warm: int) -> None:
    """Warm the server up, run the trace, write the times of the answers."""
    client = Client(port, bool(keepalive), trace)
    await client.warm(warm)
    busy.tell(event="ready")
    await client.run(limit_s)
    busy.tell(event="end", failed=client.failed)
    os.set_blocking(0, True)
    while os.read(0, 65536):
        pass
    with open(out, "wb") as file:
        client.ended.tofile(file)
    sys.stdout.flush()
    os._exit(0)


def runner() -> Callable[..., Any]:
    """Uvloop's runner if uvloop is here: it leaves more of the core to the machine."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run
    run: Callable[..., Any] = uvloop.run
    return run


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 16_384)), hard))
    _, _port, _keepalive, _trace, _out, _limit, _warm = sys.argv
    runner()(main(int(_port), int(_keepalive), _trace, _out, float(_limit), int(_warm)))
