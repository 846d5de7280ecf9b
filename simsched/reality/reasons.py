"""What an error most likely comes from, as far as the figures of the case tell."""

from __future__ import annotations

from simsched.reality.compare import Comparison, spread_of

__all__ = ["reason"]

STRETCHED = 1.25
"""Work that took so much longer than alone was interrupted: what a hypervisor takes is a tenth."""


def reason(comparison: Comparison, noise: dict[str, dict[str, float]]) -> str:
    """What the worst error of a case most likely comes from, in a sentence."""
    key = max(("p50", "p95", "p99"), key=lambda k: abs(comparison.errors[k]))
    error, cpu = comparison.errors[key], comparison.errors["cpu"]
    spread = spread_of(comparison, key, noise)
    if spread >= abs(error):
        return "the repetitions of this trace differ as much"
    stretched = comparison.stretch or 1.0
    if stretched >= STRETCHED and error < 0.0:
        return f"other programs had the core: work took {stretched:.1f} times as long as alone"
    if comparison.saturated:
        return "saturated: what was measured depends on small differences of CPU use"
    if abs(cpu) >= 0.02 and (cpu < 0) == (error < 0):
        less = "less" if cpu < 0 else "more"
        return f"{abs(cpu):.0%} {less} CPU than was used, which queueing multiplies"
    if key == "p99":
        return "the tail hangs on few requests and on who was served first"
    return "who is served first: CPU use is right, the order is not"
