"""What a wait does to the carrier of a virtual thread: whether it unmounts, or pins.

====================  =======================  =====================  ==============
kind                  JDK 21, 22               JDK 23                 JDK 24, 25
====================  =======================  =====================  ==============
socket                unmounts                 unmounts               unmounts
synchronized          pins                     pins                   unmounts
file                  pins, compensated        pins                   pins
native                pins                     pins                   pins
====================  =======================  =====================  ==============

Before JDK 24 anything that waits *inside* a ``synchronized`` lock pins as well, and so does waiting
to enter one.

A ``parallel`` step parks the thread that waits for its branches: it pins inside a ``synchronized``
lock only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsched.workload import program as op_code

if TYPE_CHECKING:
    from simsched.sim.task import Task
    from simsched.workload.program import Op

UNMOUNTS, PINS, PINS_COMPENSATED = range(3)


def monitors_pin(jdk: int) -> bool:
    """Whether a thread that holds a monitor, or waits for one, cannot unmount (until JEP 491)."""
    return jdk < 24


def blocking_effect(kind: str, jdk: int) -> int:
    """What a blocking call of this kind does to its carrier (table above)."""
    if kind == "socket" or (kind == "synchronized" and not monitors_pin(jdk)):
        return UNMOUNTS
    if kind == "file" and jdk <= 22:
        return PINS_COMPENSATED
    return PINS


def waiting_effect(task: Task, op: Op, jdk: int) -> int:
    """What waiting at the step ``op`` does to the carrier."""
    effect = blocking_effect(op.kind, jdk) if op.code == op_code.BLOCKING else UNMOUNTS
    if task.pins and effect == UNMOUNTS:
        return PINS  # it waits while it holds a monitor
    return effect


def pins_while_acquiring(task: Task, op: Op, jdk: int) -> bool:
    """Whether waiting for the permit or lock of ``op`` pins."""
    return bool(task.pins) or (op.kind == "synchronized" and monitors_pin(jdk))
