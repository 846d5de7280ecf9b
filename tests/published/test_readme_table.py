"""The README shows what the command makes, misses included."""

from __future__ import annotations

import pytest

from .__main__ import BEGIN, END, README, table


@pytest.mark.slow
def test_the_table_in_the_readme_is_what_the_model_predicts() -> None:
    shown = README.read_text("utf-8").split(BEGIN)[1].split(END)[0].strip()
    assert shown == table()
