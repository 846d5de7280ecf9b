"""Did you mean: the nearest of the names that would have been right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def _plain(word: str) -> str:
    return word.casefold().replace("_", "").replace("-", "").replace(".", "")


def nearest(word: object, options: Iterable[str]) -> str | None:
    """The option most like ``word``, ignoring case and separators; None if none is near."""
    by_plain: dict[str, str] = {}
    for option in options:
        by_plain.setdefault(_plain(option), option)
    plain = _plain(str(word))
    cutoff = 0.6 if len(plain) > 3 else 0.5  # "bd" and "db" have a ratio of 0.5
    found = difflib.get_close_matches(plain, by_plain, n=len(by_plain) or 1, cutoff=cutoff)
    if not found:
        return None
    # Of equally like ones the shortest: "gp" is a slip for "go" rather than for "go-http".
    likeness = {option: difflib.SequenceMatcher(None, option, plain).ratio() for option in found}
    return by_plain[max(found, key=lambda option: (likeness[option], -len(option)))]


def did_you_mean(word: object, options: Iterable[str]) -> str:
    """The sentence 'did you mean "x"?', or "" if nothing is near.

    A name that several options begin with ("gunicorn-sync", "gunicorn-gthread") stands for them.
    """
    names = list(options)
    longer = beginning_with(word, names)
    if longer:
        return 'did you mean "' + '" or "'.join(longer) + '"?'
    option = nearest(word, names)
    return f'did you mean "{option}"?' if option is not None else ""


def beginning_with(word: object, options: Iterable[str]) -> list[str]:
    """Up to three options of which ``word`` is the first word or more."""
    start = str(word).casefold()
    longer = (name for name in options if name.casefold().startswith((f"{start}-", f"{start}_")))
    return list(dict.fromkeys(longer))[:3] if len(start) > 1 else []


def one_of(options: Iterable[str]) -> str:
    """The options as a phrase: one of "a", "b", "c"."""
    names = [f'"{option}"' for option in options]
    return "one of " + ", ".join(names) if len(names) > 1 else "".join(names)
