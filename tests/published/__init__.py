"""Experiments that others have measured or published, simulated."""

import sys
from pathlib import Path

# The kit of the tests is found as pytest finds it, also by `python -m tests.published`.
_TESTS = str(Path(__file__).parents[1])
if _TESTS not in sys.path:
    sys.path.append(_TESTS)
