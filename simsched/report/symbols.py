"""Signs for terminals that know Unicode and for those that do not, and names made harmless."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from simsched.report.result_scheduler import SloState


@dataclass(frozen=True)
class Symbols:
    """The few signs the report uses besides letters and digits."""

    passed: str
    failed: str
    unknown: str
    pm: str
    dot: str
    warning: str
    superscripts: str

    def state(self, state: SloState) -> str:
        """Sign of an objective's state."""
        return {"pass": self.passed, "fail": self.failed, "unknown": self.unknown}[state]

    def ok(self, held: bool | None) -> str:
        """Sign of a check: held, broken or not judged."""
        if held is None:
            return self.unknown
        return self.passed if held else self.failed

    def note(self, number: int) -> str:
        """Mark of a footnote."""
        if self.superscripts:
            return str(number).translate(str.maketrans("0123456789", self.superscripts))
        return f"[{number}]"


UNICODE = Symbols("✓", "✗", unknown="?", pm="±", dot="·", warning="!", superscripts="⁰¹²³⁴⁵⁶⁷⁸⁹")
ASCII = Symbols("ok", "NO", unknown="?", pm="+-", dot="|", warning="!", superscripts="")


def clean(text: str, encoding: str = "utf-8") -> str:
    """`text` on one line, without control characters, in what `encoding` can write.

    A scenario's names may come from anywhere: an escape sequence in one must not reach a terminal.
    """
    shown = "".join(
        " " if char in "\n\r\t" else "\ufffd" if unicodedata.category(char)[0] == "C" else char
        for char in text
    )
    return shown.encode(encoding, errors="replace").decode(encoding)
