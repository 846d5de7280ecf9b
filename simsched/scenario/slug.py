"""Names as file names."""

from __future__ import annotations

import hashlib
import re
import unicodedata

MAX_SLUG_LENGTH = 60


def slug(name: str) -> str:
    """A file name for a name: lower-case ASCII letters, digits, _ and -, never empty.

    What cannot be written that way is replaced by a short digest of the whole name, so that
    different names keep different files ("a/b" and "a b" included).
    """
    ascii_text = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^a-z0-9_]+", "-", ascii_text.lower()).strip("-")[:MAX_SLUG_LENGTH].strip("-")
    if plain == name and plain not in _RESERVED:
        return plain
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=3).hexdigest()
    return f"{plain}-{digest}" if plain else digest


_DEVICES = ("con", "prn", "aux", "nul", *(f"{d}{i}" for d in ("com", "lpt") for i in range(10)))
_RESERVED = frozenset(_DEVICES)
"""Device names that Windows does not allow as file names."""
