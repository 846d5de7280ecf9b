"""Scenarios: the TOML a user writes, as validated, frozen objects.

Loading one file gives a :class:`Scenario`, or a :class:`ScenarioError` that lists every problem
with its line and column.
"""

from simsched.scenario.arrivals import (
    Arrivals,
    Bursty,
    Closed,
    ConstantRate,
    Poisson,
    Ramp,
    RateStep,
    Steps,
    Trace,
)
from simsched.scenario.connections import Connections
from simsched.scenario.distributions import (
    Column,
    Constant,
    Dist,
    Empirical,
    Exponential,
    Gamma,
    Hyperexponential,
    Lognormal,
    Pareto,
    Uniform,
    Weibull,
)
from simsched.scenario.errors import Problem, ScenarioError
from simsched.scenario.host import Host, HostOs, Resource
from simsched.scenario.load import load_scenario, loads_scenario
from simsched.scenario.memory import SchedulerMemory
from simsched.scenario.model import RunSection, Scenario, Workload
from simsched.scenario.offered import OfferedLoad, offered_load
from simsched.scenario.presets import Preset, load_preset, preset_names, preset_text
from simsched.scenario.schema import scenario_schema
from simsched.scenario.slo import SloRule
from simsched.scenario.slug import slug
from simsched.scenario.specs import (
    EventLoopSpec,
    ForkJoinSpec,
    GoroutineSpec,
    GthreadSpec,
    Listen,
    ReactorSpec,
    SchedulerSpec,
    SyncWorkersSpec,
    ThreadPoolSpec,
    VirtualThreadSpec,
)
from simsched.scenario.steps import (
    BlockingStep,
    CpuStep,
    IoStep,
    LockStep,
    OffloadStep,
    ParallelStep,
    RepeatStep,
    RequestClass,
    Retries,
    SleepStep,
    Step,
    UseStep,
)

__all__ = [
    "Arrivals",
    "BlockingStep",
    "Bursty",
    "Closed",
    "Column",
    "Connections",
    "Constant",
    "ConstantRate",
    "CpuStep",
    "Dist",
    "Empirical",
    "EventLoopSpec",
    "Exponential",
    "ForkJoinSpec",
    "Gamma",
    "GoroutineSpec",
    "GthreadSpec",
    "Host",
    "HostOs",
    "Hyperexponential",
    "IoStep",
    "Listen",
    "LockStep",
    "Lognormal",
    "OfferedLoad",
    "OffloadStep",
    "ParallelStep",
    "Pareto",
    "Poisson",
    "Preset",
    "Problem",
    "Ramp",
    "RateStep",
    "ReactorSpec",
    "RepeatStep",
    "RequestClass",
    "Resource",
    "Retries",
    "RunSection",
    "Scenario",
    "ScenarioError",
    "SchedulerMemory",
    "SchedulerSpec",
    "SleepStep",
    "SloRule",
    "Step",
    "Steps",
    "SyncWorkersSpec",
    "ThreadPoolSpec",
    "Trace",
    "Uniform",
    "UseStep",
    "VirtualThreadSpec",
    "Weibull",
    "Workload",
    "load_preset",
    "load_scenario",
    "loads_scenario",
    "offered_load",
    "preset_names",
    "preset_text",
    "scenario_schema",
    "slug",
]
