"""A checker that cannot fail is worth nothing: each catches what it is there for."""

from __future__ import annotations

import pytest

from simsched.observe.checkers import CheckFailed, all_checkers

from .mutants import MUTANTS, Mutant
from .runs import judged


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_the_mistake_is_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    right = getattr(mutant.owner, mutant.method)
    monkeypatch.setattr(mutant.owner, mutant.method, mutant.wrong(right))
    with pytest.raises(CheckFailed, match=mutant.seen) as caught:
        judged(mutant.scenario, mutant.checker())
    assert caught.value.invariant == mutant.checker.invariant


@pytest.mark.parametrize("mutant", MUTANTS, ids=str)
def test_without_the_mistake_all_is_well(mutant: Mutant) -> None:
    judged(mutant.scenario)


def test_every_checker_has_something_to_catch() -> None:
    assert {mutant.checker for mutant in MUTANTS} == {type(checker) for checker in all_checkers()}


def test_the_message_says_what_when_where_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = next(m for m in MUTANTS if m.mistake == "a step is skipped")
    right = getattr(mutant.owner, mutant.method)
    monkeypatch.setattr(mutant.owner, mutant.method, mutant.wrong(right))
    with pytest.raises(CheckFailed) as caught:
        judged(mutant.scenario, mutant.checker())
    message = str(caught.value)
    assert message.startswith(
        f"causality broken at {caught.value.time_s:.9g} s, request 5 of class"
    )
    assert 'step 2 "cpu 2": expected step 1 to come next; saw step 2' in message
