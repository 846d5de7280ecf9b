"""Random but valid scenarios: one seed, one scenario.

They are small (a run takes a few hundredths of a second) and go to extremes where defaults would
not: one thread, a queue of one, no costs, tiny slices, no tick. Every third is "tidy": durations
are multiples of one quantum and nothing costs anything, so that very much happens at the same
instant.

    python -m tests.fuzz.scenarios 1234        # shows scenario 1234 and runs it again
    python -m tests.fuzz.scenarios 1000 2000   # runs a range of seeds, shows what fails
"""

from __future__ import annotations

import random
import sys
from typing import Any

from simsched.scenario import Scenario

from .parts import Chance, arrivals, connections, host, resources
from .servers import schedulers
from .steps import classes
from .ways import with_go_options, with_neighbours, with_ways_in


def scenario_of(seed: int) -> Scenario:
    """The scenario of this seed."""
    return Scenario.from_dict(tables_of(seed))


def tables_of(seed: int) -> dict[str, Any]:
    """The scenario of this seed as TOML-shaped tables, before defaults."""
    chance = Chance(random.Random(seed))
    run = {
        "name": f"fuzz-{seed}",
        "duration": chance.us(1e3 * chance.rng.choice([20, 50, 100, 200, 2500])),
        "seed": chance.rng.randrange(1_000_000),
        "replications": 1,
        "study": chance.rng.choice(["steady", "steady", "terminating"]),
    }
    if chance.of(0.4):
        run["drain"] = chance.rng.choice(["0s", "10ms", "500ms", "40s"])
    pools = resources(chance)
    machine = host(chance)
    requests = classes(chance, machine["cores"], list(pools))
    workload: dict[str, Any] = {"arrivals": arrivals(chance), "requests": requests}
    if chance.of(0.5):
        closed = workload["arrivals"]["kind"] == "closed"
        workload["connections"] = connections(chance, closed=closed)
    entries = schedulers(chance)
    # Streams of their own: what was drawn before stays as it was.
    with_ways_in(Chance(random.Random(f"ways {seed}")), machine, entries)
    with_neighbours(Chance(random.Random(f"neighbours {seed}")), machine)
    names = [request["name"] for request in requests]
    with_go_options(Chance(random.Random(f"go {seed}")), names, entries)
    return {
        "scenario": run,
        "host": machine,
        "workload": workload,
        "resources": pools,
        "schedulers": entries,
    }


def main(arguments: list[str]) -> int:
    """Show and run one scenario, or run a range and show what fails."""
    from .running import check, failure_of

    if len(arguments) == 2:
        failures = [s for s in range(*map(int, arguments)) if (e := failure_of(s)) and not print(e)]
        print(f"{len(failures)} failures: {failures}")
        return bool(failures)
    seed = int(arguments[0])
    print(scenario_of(seed).to_toml())
    check(seed)
    print(f"seed {seed}: every checker is content")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
