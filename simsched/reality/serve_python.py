"""A web server in Python that does the work a request asks for.

Run as a script: ``SERVER FD WORKERS THREADS``. Answers GET /work?c1=..&io=..&c2=.. (microseconds
of work, wait and work) on a listening socket it was handed. Says how fast its loop is on standard
output before it serves.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import sys
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
busy: Any = importlib.import_module("busy")
spin: Callable[[int], int] = busy.spin

ALIVE_S = 60
"""How long an idle connection is kept: longer than a case pauses between requests."""


def fastapi_app(kind: str, per_us: float) -> Any:
    """An app whose handler is a coroutine ("async"), a function ("def"), or blocks its loop."""
    from fastapi import FastAPI

    app = FastAPI()

    if kind == "async":

        async def work(c1: int, io: int, c2: int) -> str:
            spin(round(c1 * per_us))
            if io > 0:
                await asyncio.sleep(io / 1e6)
            spin(round(c2 * per_us))
            return "ok"

        app.get("/work")(work)

    elif kind == "block":

        async def blocking(c1: int, io: int, c2: int) -> str:
            spin(round(c1 * per_us))
            if io > 0:
                time.sleep(io / 1e6)  # the mistake that is measured
            spin(round(c2 * per_us))
            return "ok"

        app.get("/work")(blocking)

    else:

        def threaded(c1: int, io: int, c2: int) -> str:
            spin(round(c1 * per_us))
            if io > 0:
                time.sleep(io / 1e6)
            spin(round(c2 * per_us))
            return "ok"

        app.get("/work")(threaded)

    return app


def serve_fastapi(kind: str, fd: int, per_us: float) -> None:
    """Serve with uvicorn on uvloop."""
    import uvicorn

    config = uvicorn.Config(
        fastapi_app(kind, per_us),
        loop="uvloop",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=ALIVE_S,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=fd)])


def wsgi_app(per_us: float) -> Callable[..., Iterable[bytes]]:
    """The same work as a WSGI application."""

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        asked = dict(parse_qsl(environ["QUERY_STRING"]))
        spin(round(int(asked["c1"]) * per_us))
        if asked["io"] != "0":
            time.sleep(int(asked["io"]) / 1e6)
        spin(round(int(asked["c2"]) * per_us))
        start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "2")])
        return [b"ok"]

    return app


def serve_gunicorn(kind: str, fd: int, workers: int, threads: int, per_us: float) -> None:
    """Serve with gunicorn: "sync" or "gthread" workers."""
    from gunicorn.app.base import BaseApplication

    launch: Any = importlib.import_module("launch")

    def post_fork(_server: Any, _worker: Any) -> None:
        launch.die_with_parent()

    class Application(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            for name, value in {
                "bind": f"fd://{fd}",
                "workers": workers,
                "threads": threads,
                "worker_class": kind,
                "keepalive": ALIVE_S,
                "timeout": 600,
                "graceful_timeout": 1,
                "loglevel": "warning",
                "post_fork": post_fork,
            }.items():
                self.cfg.set(name, value)

        def load(self) -> Any:
            return wsgi_app(per_us)

    Application().run()


def main(server: str, fd: int, workers: int, threads: int) -> None:
    """Calibrate, say so, and serve."""
    per_us = busy.iterations_per_us(0.3)
    busy.tell(event="ready", per_us=round(per_us, 4))
    if server in ("async", "def", "block"):
        serve_fastapi(server, fd, per_us)
    else:
        serve_gunicorn(server, fd, workers, threads, per_us)


if __name__ == "__main__":
    main(sys.argv[1], *(int(number) for number in sys.argv[2:5]))
