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
    found = difflib.get_close_matches(plain, list(by_plain), n=1, cutoff=cutoff)
    return by_plain[found[0]] if found else None


def did_you_mean(word: object, options: Iterable[str]) -> str:
    """The sentence 'did you mean "x"?', or "" if nothing is near."""
    option = nearest(word, options)
    return f'did you mean "{option}"?' if option is not None else ""


def one_of(options: Iterable[str]) -> str:
    """The options as a phrase: one of "a", "b", "c"."""
    names = [f'"{option}"' for option in options]
    return "one of " + ", ".join(names) if len(names) > 1 else "".join(names)
