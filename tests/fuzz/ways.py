"""How requests get in, and the kernel beneath: what all kinds of servers have in common."""

from __future__ import annotations

from typing import Any

from .parts import Chance

WAYS = {
    "thread_pool": ("reader",),
    "virtual_thread": ("reader",),
    "goroutine": ("reader", "timer", "accept"),
    "event_loop": ("reader",),
}


def with_ways_in(chance: Chance, machine: dict[str, Any], entries: list[dict[str, Any]]) -> None:
    """Give some machines another kernel, and some servers another way in; in place."""
    rng = chance.rng
    if chance.of(0.4):
        os = machine.setdefault("os", {})
        os["scheduler"] = "eevdf"
        os["time_slice"] = rng.choice(["700us", "2800us"])
    if chance.of(0.4):
        machine.setdefault("os", {})["timer_slack"] = rng.choice(["0s", "50us", "1ms"])
    if chance.of(0.3):
        machine.setdefault("os", {})["idle_exit_cost"] = rng.choice(["2us", "15us"])
    for entry in entries:
        ways = WAYS.get(entry["kind"], ())
        if ways and chance.of(0.4):
            entry["ingress"] = rng.choice(ways)
            entry["read"] = chance.cost(3, 100)
            entry["submit"] = chance.cost(1, 50)


def with_neighbours(chance: Chance, machine: dict[str, Any]) -> None:
    """Make some machines guests whose hypervisor takes their cores away; in place."""
    if chance.of(0.25):
        machine["steal"] = chance.rng.choice([0.02, 0.1, 0.5])
        # Tidy: not a multiple of the quantum, as nothing that is drawn is one.
        machine["steal_slice"] = chance.rng.choice(["200us", "3ms", "20ms"])


def with_go_options(chance: Chance, names: list[str], entries: list[dict[str, Any]]) -> None:
    """Let some Go programs collect garbage, and some lock goroutines to threads; in place."""
    for entry in entries:
        if entry["kind"] != "goroutine":
            continue
        if chance.of(0.3):
            entry["gc"] = {
                "live_heap": chance.rng.choice(["10kB", "1MB", "30MB"]),
                "allocation": chance.rng.choice(["1kB", "300kB", "5MB"]),
                "GOGC": chance.rng.choice([5, 100, 400]),
                "pause": chance.cost(50, 1000),
            }
        if chance.of(0.3):
            entry["LockOSThread"] = [name for name in names if chance.of(0.5)]
        if chance.of(0.3):
            entry["cgo"] = chance.cost(1, 100)
