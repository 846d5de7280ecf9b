"""Scenarios in which knobs matter, for what trap 2 changes."""

from __future__ import annotations

PLACE = """  { lock = "cache", steps = [{ cpu = "200us" }] },
"""
RICH = """
[scenario]
name = "knobs"
duration = "1s"
replications = 1
[host]
cores = 2
[workload.arrivals]
kind = "poisson"
rate = "400/s"
[resources.db]
capacity = 3
[resources.other]
capacity = 1
[[workload.requests]]
name = "a"
memory = "10KiB"
timeout = "25ms"
retries = { max = 2, backoff = "20ms" }
steps = [
  { cpu = { dist = "exponential", mean = "3ms" } },
  { use = "db", steps = [{ io = { dist = "exponential", mean = "4ms" } }] },
  { sleep = "1500us" },
  { blocking = { dist = "exponential", mean = "3ms" }, kind = "file" },
  { lock = "cache", steps = [{ cpu = "200us" }] },
]
[[workload.requests]]
name = "b"
weight = 0.2
steps = [
  { offload = "to_thread", steps = [{ cpu = "2ms" }, { blocking = "40ms" }] },
  { offload = "run_in_threadpool", steps = [{ blocking = "40ms" }] },
  { parallel = [[{ offload = "getaddrinfo", steps = [{ io = "2ms" }] }], [{ io = "9ms" }]] },
]
[[workload.requests]]
name = "hog"
weight = 0.02
steps = [{ cpu = "60ms" }]
[[schedulers]]
"""
# The same on kept connections that are there from the start.
WIRED = RICH.replace(
    "[resources.db]",
    """[workload.connections]
count = 12
connect = "start"
[resources.db]""",
)
# ... of which one process takes few at a time.
CROWDED = 'listen = { max_connections = 4, max_requests = 20, keep_alive = "1s" }\n'
# Users of whom the server lets in one or two, and the others try for minutes.
LEFT_OUT = """
[scenario]
name = "left out"
duration = "1s"
replications = 1
drain = "300s"
[host]
cores = 2
[workload.arrivals]
kind = "closed"
users = 8
think = { dist = "exponential", mean = "10ms" }
[workload.connections]
keep_alive = true
[[workload.requests]]
name = "a"
steps = [{ cpu = "1ms" }]
[[schedulers]]
kind = "goroutine"
listen = { backlog = 2, max_connections = 1 }
"""
TOMCAT = 'kind = "thread_pool"\npolicy = "tomcat"\nmaxThreads = 12\nminSpareThreads = 2\n'
JDK = (
    'kind = "thread_pool"\npolicy = "jdk"\ncorePoolSize = 4\nmaximumPoolSize = 12\nworkQueue = 6\n'
    'keepAliveTime = "1ms"\n'
)
