"""What a scenario must not say. Each case changes one passage of a valid scenario."""

from __future__ import annotations

import pytest

from simsched.scenario import Scenario, loads_scenario

from .texts import VALID, changed, only_problem, problems, underlined

REQUESTS = VALID.index("[[workload.requests]]"), VALID.index("[resources.db]")
SCHEDULERS = VALID.index("[[schedulers]]")


def with_steps(*classes: str) -> str:
    """The valid scenario with classes a, b, ... that have these steps, and resources db, one."""
    tables = "".join(
        f'[[workload.requests]]\nname = "{name}"\nsteps = [{steps}]\n'
        for name, steps in zip("abcdef", classes, strict=False)
    )
    text = VALID[: REQUESTS[0]] + tables + VALID[REQUESTS[1] :]
    return text.replace("[resources.db]", "[resources.one]\ncapacity = 1\n[resources.db]")


def with_scheduler(lines: str) -> str:
    return VALID[:SCHEDULERS] + "[[schedulers]]\n" + lines


def with_arrivals(lines: str) -> str:
    return changed('kind = "poisson"\nrate = "500/s"\n', lines)


def test_the_text_that_the_cases_change_is_valid() -> None:
    assert isinstance(loads_scenario(VALID), Scenario)
    assert isinstance(loads_scenario(with_steps("{cpu = '1ms'}", "{io = '1ms'}")), Scenario)
    assert isinstance(loads_scenario(with_scheduler('kind = "event_loop"')), Scenario)


@pytest.mark.parametrize(
    ("text", "under", "message"),
    [
        (changed('"10s"', '"0s"'), '"0s"', "above zero"),
        (changed('"10s"', '"1000000h"'), '"1000000h"', "at most 1000 days"),
        (changed('"10s"', '"nan"'), '"nan"', "expected a duration with a unit"),
        (changed('"10s"', "inf"), "inf", "expected a duration with a unit"),
        (changed('"10s"', "10"), "10", "expected a duration with a unit"),
        (changed('"10s"', '"-1s"'), '"-1s"', "not negative"),
        (changed('"10s"', '"10s"\nwarmup = "10s"'), '"10s"', "shorter than duration"),
        (changed('"10s"', '"10s"\nreplications = 0'), "0", "an integer >= 1"),
        (changed('"10s"', '"10s"\nreplications = true'), "true", "an integer >= 1"),
        (changed('"10s"', '"10s"\nseed = -1'), "-1", "an integer >= 0"),
        (changed('"10s"', '"10s"\nseed = 1.0'), "1.0", "an integer >= 0"),
        (changed('"10s"', '"10s"\nstudy = "stedy"'), '"stedy"', '"steady", "terminating"'),
        (
            changed('"10s"', '"10s"\nstudy = "terminating"\nwarmup = "1s"'),
            '"1s"',
            "has no warm-up",
        ),
        (changed('"shop"', '"a\\u0000b"'), '"a\\u0000b"', "without control characters"),
        (changed('"shop"', '"a\\nb"'), '"a\\nb"', "without control characters"),
        (changed('"shop"', '"a\\u202eb"'), '"a\\u202eb"', "without control characters"),
        (changed('"shop"', '""'), '""', "a name of 1 to 100 characters"),
        (changed('"shop"', f'"{"x" * 101}"'), f'"{"x" * 101}"', "a name of 1 to 100 characters"),
        (changed("[resources.db]", "[resources.x]\ncapacity = 0\n[resources.db]"), "0", ">= 1"),
        (changed("cores = 4", "cores = 0"), "0", "an integer >= 1 and <= 4096"),
        (changed("cores = 4", "cores = 1000000"), "1000000", "an integer >= 1 and <= 4096"),
        (changed("cores = 4", "cores = 4.0"), "4.0", "an integer >= 1"),
        (changed("cores = 4", 'cores = 4\nmemory = "0B"'), '"0B"', "above zero"),
        (changed("cores = 4", "cores = 4\nos.wakeup_preemption = 1"), "1", "true or false"),
        (changed("cores = 4", 'cores = 4\nos.time_slice = "0s"'), '"0s"', "above zero"),
        (changed("capacity = 20", "capacity = 0"), "0", "an integer >= 1"),
        (changed('"render" }', '"render", x = 1 }'), "x", 'unknown key "x"'),
        (changed('"2ms"', "2"), "2", "expected a duration with a unit"),
        (changed("cv = 1.5", "cv = 0"), "0", "a number > 0"),
        (changed("cv = 1.5", "cv = nan"), "nan", "a number > 0"),
        (changed("cv = 1.5", 'cv = "1.5"'), '"1.5"', "a number > 0"),
        (changed('"lognormal"', '"lognorml"'), '"lognorml"', '"lognormal"'),
        (changed('use = "db"', 'use = "bd"'), '"bd"', 'unknown resource "bd"'),
        (changed('name = "page"', 'name = "page"\nweight = 0'), "0", "a number > 0"),
        (changed('name = "page"', 'name = "page"\nweight = -1'), "-1", "a number > 0"),
        (changed('name = "page"', 'name = "page"\ntimeout = "0s"'), '"0s"', "above zero"),
        (
            changed('name = "page"', 'name = "page"\nretries = { max = 1 }'),
            "retries",
            'missing key "backoff"',
        ),
    ],
)
def test_one_wrong_value_is_one_problem_at_that_value(text: str, under: str, message: str) -> None:
    problem = only_problem(text)
    assert message in problem.message
    assert underlined(problem) == under


@pytest.mark.parametrize(
    ("lines", "under", "message"),
    [
        ('kind = "poisson"\nrate = "0/s"\n', '"0/s"', "above zero"),
        ('kind = "poisson"\nrate = "nan/s"\n', '"nan/s"', "expected a rate"),
        ('kind = "poisson"\nrate = 500\n', "500", "expected a rate"),
        ('kind = "constant"\nrate = "-1/s"\n', '"-1/s"', "not negative"),
        ('kind = "ramp"\nfrom = "0/s"\nto = "0/s"\n', '"0/s"', "no request would arrive"),
        ('kind = "steps"\nsteps = []\n', "[]", "at least one step"),
        ('kind = "steps"\nsteps = [{at = "1s", rate = "1/s"}]\n', '"1s"', 'must be at "0s"'),
        ('kind = "steps"\nsteps = [{at = "0s", rate = "0/s"}]\n', "", "no request would arrive"),
        ('kind = "closed"\nusers = 0\n', "0", "an integer >= 1"),
        ('kind = "closed"\nusers = 1\nthink = { column = "t" }\n', "", "cannot be a trace column"),
        ('rate = "500/s"\n', "", 'missing key "kind"'),
        ('kind = "poison"\nrate = "500/s"\n', '"poison"', '"poisson"'),
        (
            'kind = "bursty"\nrate_low = "9/s"\nrate_high = "1/s"\nmean_low = "1s"\n'
            'mean_high = "1s"\n',
            '"9/s"',
            "above rate_high",
        ),
        (
            'kind = "steps"\nsteps = [{at = "0s", rate = "1/s"}, {at = "0s", rate = "2/s"}]\n',
            '"0s"',
            "in order of time",
        ),
    ],
)
def test_arrivals(lines: str, under: str, message: str) -> None:
    problem = only_problem(with_arrivals(lines))
    assert message in problem.message
    assert not under or underlined(problem) == under


@pytest.mark.parametrize(
    ("dist", "message"),
    [
        ('{ dist = "exponential", mean = "0s" }', "above zero"),
        ('{ dist = "gamma", mean = "1ms", cv = -1 }', "a number > 0"),
        ('{ dist = "pareto", mean = "1ms", shape = 1 }', "a number > 1"),
        ('{ dist = "hyperexponential", mean = "1ms", cv = 1.0 }', "a number > 1"),
        ('{ dist = "weibull", mean = "1ms", shape = 0 }', "a number >= 0.1"),
        ('{ dist = "uniform", low = "2ms", high = "1ms" }', "low (2ms) is above high (1ms)"),
        ('{ dist = "empirical" }', 'give either "file" or "quantiles"'),
        ('{ dist = "empirical", quantiles = [[0, "1ms"]] }', "from probability 0 to"),
        ('{ dist = "empirical", quantiles = [[0, "2ms"], [1, "1ms"]] }', "must not decrease"),
        ('{ dist = "empirical", quantiles = [[0, "1s"], [0, "1s"], [1, "2s"]] }', "must increase"),
        ('{ dist = "empirical", quantiles = [[0, "1s"], [2, "2s"]] }', "a number >= 0 and <= 1"),
        ('{ dist = "empirical", quantiles = [[0], [1, "2s"]] }', "expected a pair"),
        ('{ dist = "empirical", quantiles = [[0, "1s", 1], [1, "2s"]] }', "expected a pair"),
        ('{ mean = "1ms" }', 'missing key "dist"'),
        ('{ column = "cpu_s" }', "needs a trace"),
        ('["1ms"]', "expected a duration"),
    ],
)
def test_distributions(dist: str, message: str) -> None:
    assert message in only_problem(with_steps(f"{{ cpu = {dist} }}")).message


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("", "at least one entry"),
        ("{}", "this step does nothing"),
        ("{ cpu = '1ms', io = '1ms' }", "a step does one thing"),
        ("'1ms'", "expected a step like"),
        ("{ use = 'db' }", 'missing key "steps"'),
        ("{ use = 'db', steps = [] }", "at least one entry"),
        ("{ blocking = '1ms', kind = 'disk' }", '"socket", "file"'),
        ("{ cpu = '1ms', kind = 'file' }", 'unknown key "kind"'),
        ("{ use = 'db', steps = [{ use = 'db', steps = [{ cpu = '1s' }] }] }", "already holds it"),
        ("{ lock = 'l', steps = [{ lock = 'l', steps = [{ cpu = '1s' }] }] }", "already holds it"),
    ],
)
def test_steps(steps: str, message: str) -> None:
    assert message in only_problem(with_steps(steps)).message


def nested(outer: str, inner: str) -> str:
    """A step that takes the outer thing and then the inner one."""
    return f"{{ {outer}, steps = [{{ {inner}, steps = [{{ cpu = '1ms' }}] }}] }}"


L, M, ONE, DB = "lock = 'l'", "lock = 'm'", "use = 'one'", "use = 'db'"


@pytest.mark.parametrize(
    ("classes", "deadlock"),
    [
        ((nested(L, M), nested(M, L)), True),
        ((nested(L, ONE), nested(ONE, L)), True),
        ((f"{nested(L, M)}, {nested(M, L)}",), True),
        ((nested(L, M), nested(M, ONE), nested(ONE, L)), True),
        ((nested(L, M), nested(L, M)), False),
        ((nested(L, DB), nested(DB, L)), False),  # 20 connections: possible, but not by order alone
        ((nested(L, M), nested(M, ONE), nested(L, ONE)), False),
    ],
)
def test_opposite_orders_of_exclusive_things_are_a_possible_deadlock(
    classes: tuple[str, ...], deadlock: bool
) -> None:
    text = with_steps(*classes)
    if not deadlock:
        loads_scenario(text)
        return
    assert "possible deadlock" in only_problem(text).message


def test_a_deadlock_message_tells_the_whole_cycle() -> None:
    message = only_problem(with_steps(nested(L, ONE), nested(ONE, L))).message
    assert 'class "a" holds lock "l" and waits for resource "one"' in message
    assert 'class "b" holds resource "one" and waits for lock "l"' in message


def test_opposite_orders_under_one_common_lock_cannot_deadlock() -> None:
    gate = "{{ lock = 'gate', steps = [{}] }}"
    loads_scenario(with_steps(gate.format(nested(L, M)), gate.format(nested(M, L))))


def test_a_tangle_of_many_locks_is_judged_quickly() -> None:
    locks = [f"lock = 'l{i}'" for i in range(25)]
    chain, back = "{ cpu = '1ms' }", "{ cpu = '1ms' }"
    for lock in locks:
        chain = f"{{ {lock}, steps = [{chain}] }}"
    for lock in reversed(locks):
        back = f"{{ {lock}, steps = [{back}] }}"
    loads_scenario(with_steps(chain, chain))
    assert 1 <= len(problems(with_steps(chain, back))) <= 30


def test_one_lock_has_one_kind() -> None:
    text = with_steps(
        "{ lock = 'l', steps = [{ cpu = '1s' }] }",
        "{ lock = 'l', kind = 'synchronized', steps = [{ cpu = '1s' }] }",
    )
    assert 'is "synchronized" here and "reentrant"' in only_problem(text).message


@pytest.mark.parametrize(
    ("lines", "under", "message"),
    [
        ('kind = "thread_pol"', '"thread_pol"', '"thread_pool"'),
        ('preset = "tomcta"', '"tomcta"', 'unknown preset "tomcta"'),
        ('name = "x"', "schedulers", 'missing key "kind"'),
        ('kind = "thread_pool"\nmaxThreads = 0', "0", "an integer >= 1"),
        ('kind = "thread_pool"\nmax_threads = 2', "max_threads", 'unknown key "max_threads"'),
        ('kind = "thread_pool"\ncorePoolSize = 4', "4", 'a knob of policy "jdk"'),
        ('preset = "jdk-thread-pool"\nmaxThreads = 4', "4", 'a knob of policy "tomcat"'),
        ('kind = "thread_pool"\nmaxThreads = 4\nminSpareThreads = 5', "5", "above maxThreads"),
        ('preset = "tomcat"\nmaxThreads = 4\nminSpareThreads = 5', "5", "above maxThreads"),
        ('preset = "tomcat"\npolicy = "jdk"', '"jdk"', 'has policy "tomcat"'),
        ('preset = "tomcat"\nkind = "goroutine"', '"goroutine"', 'has kind "thread_pool"'),
        ('preset = "go"\njdk = 21', "jdk", 'unknown key "jdk"'),
        ('preset = "virtual-threads"\njdk = 17', "17", "an integer >= 21 and <= 25"),
        ('preset = "virtual-threads"\nparallelism = 4\nmaxPoolSize = 2', "2", "below parallelism"),
        ('preset = "virtual-threads"\nparallelism = 4\nminRunnable = 5', "5", "above parallelism"),
        ('preset = "jdk-thread-pool"\nworkQueue = 0', "0", '"unbounded" or "synchronous"'),
        ('preset = "jdk-thread-pool"\ncorePoolSize = 300', "", "below corePoolSize (300)"),
        ('kind = "thread_pool"\npolicy = "jdk"\ncorePoolSize = 4', "", "needs maximumPoolSize"),
        (
            'preset = "jdk-thread-pool"\nallowCoreThreadTimeOut = true',
            "",
            "need a keepAliveTime above zero",
        ),
        ('preset = "tomcat"\nmemory.thread = 5', "5", "expected a size with a unit"),
        ('preset = "./mine.toml"', '"./mine.toml"', "needs a scenario file"),
    ],
)
def test_schedulers(lines: str, under: str, message: str) -> None:
    problem = only_problem(with_scheduler(lines))
    assert message in problem.message
    assert not under or underlined(problem) == under


def test_names_of_schedulers_and_classes_are_unique() -> None:
    twice = VALID.replace('preset = "go"', 'preset = "tomcat"')
    assert 'scheduler name "tomcat" is already used by schedulers[0]' in only_problem(twice).message
    loads_scenario(twice + 'name = "second"\n')
    double = with_steps("{ cpu = '1s' }", "{ io = '1s' }").replace('name = "b"', 'name = "a"')
    assert 'class name "a" is already used' in only_problem(double).message


def test_a_name_may_hold_markup_and_slashes() -> None:
    text = changed('"shop"', '"<script>alert(1)</script> ../../etc"')
    assert loads_scenario(text).name == "<script>alert(1)</script> ../../etc"


@pytest.mark.parametrize(
    ("slo", "message"),
    [
        ('p99 = "0s"', "above zero"),
        ("p99 = 200", "expected a duration"),
        ('p98 = "2ms"', 'unknown key "p98"'),
        ('error_rate = "101%"', "between 0% and 100%"),
        ('throughput = "900"', "expected a rate"),
        ('utilization = "80"', "expected a percentage"),
        ('memory = "512"', "expected a size"),
    ],
)
def test_objectives(slo: str, message: str) -> None:
    assert message in only_problem(f"{VALID}[slo]\n{slo}\n").message


def test_a_table_that_is_missing_is_named_with_an_example() -> None:
    found = problems("[host]\ncores = 4\n")
    assert [p.message for p in found] == [
        'missing table "scenario"',
        'missing table "workload"',
        'missing table "schedulers"',
    ]
    assert all(p.hint.startswith("add [") for p in found)


def test_a_table_where_an_array_of_tables_belongs() -> None:
    text = changed("[[workload.requests]]", "[workload.requests]")
    assert only_problem(text).hint == "write [[workload.requests]] with two brackets"


def test_retries_without_a_timeout_are_allowed_because_rejections_are_retried() -> None:
    text = changed('name = "page"', 'name = "page"\nretries = { max = 2, backoff = "10ms" }')
    retries = loads_scenario(text).classes[0].retries
    assert retries is not None
    assert (retries.max, retries.backoff_s, retries.factor, retries.jitter) == (2, 0.01, 2.0, 0.0)
