"""Closed forms of queueing theory: plain functions, each with its formula and source.

Arrival rates in requests per second, service times in seconds, `servers` an integer >= 1.
Means of an unstable queue are infinite: `math.inf`, not an error.

Sources: Kleinrock, Queueing Systems I (1975); Harchol-Balter, Performance Modeling and Design of
Computer Systems (2013); Gross & Harris, Fundamentals of Queueing Theory (1998).
"""

from __future__ import annotations

import math


def erlang_b(servers: int, offered: float) -> float:
    """Blocking probability of M/M/c/c with `offered` = lambda / mu Erlangs.

    B(0) = 1, B(n) = a B(n-1) / (n + a B(n-1)): the recursion that neither over- nor underflows
    (Gross & Harris 2.5). Insensitive to the distribution of service beyond its mean.
    """
    blocking = 1.0
    for n in range(1, servers + 1):
        blocking = offered * blocking / (n + offered * blocking)
    return blocking


def erlang_c(servers: int, offered: float) -> float:
    """Probability that an arrival waits in M/M/c: C = B / (1 - rho (1 - B)), rho = a / c.

    Erlang (1917); Harchol-Balter 14.3. 1 where rho >= 1.
    """
    rho = offered / servers
    if rho >= 1:
        return 1.0
    blocking = erlang_b(servers, offered)
    return blocking / (1 - rho * (1 - blocking))


def mmc_wait(rate: float, service_s: float, servers: int = 1) -> float:
    """Mean wait of M/M/c: W_q = C S / (c - a), with a = rate * S. Harchol-Balter 14.4."""
    offered = rate * service_s
    if offered >= servers:
        return math.inf
    return erlang_c(servers, offered) * service_s / (servers - offered)


def mmc_sojourn(rate: float, service_s: float, servers: int = 1) -> float:
    """Mean time in M/M/c, W = W_q + S. For one server S / (1 - rho).

    The same for every work-conserving discipline that does not look at service times, with or
    without preemption: the number in the system is the same birth-death process.
    """
    return mmc_wait(rate, service_s, servers) + service_s


def mmc_wait_quantile(p: float, rate: float, service_s: float, servers: int = 1) -> float:
    """Quantile of the FIFO wait of M/M/c: P(W_q > t) = C exp(-(c mu - lambda) t). Kleinrock 3.5."""
    offered = rate * service_s
    if offered >= servers:
        return math.inf
    waits = erlang_c(servers, offered)
    if waits <= 1 - p:
        return 0.0
    return math.log(waits / (1 - p)) * service_s / (servers - offered)


def mmc_sojourn_tail(t: float, rate: float, service_s: float, servers: int = 1) -> float:
    """P(time in FIFO M/M/c > t), Gross & Harris 2.3.

    With m = mu and d = c mu - lambda, the sum of an exponential service and a wait that is 0 with
    probability 1 - C and else exponential with rate d:
    (1 - C) e^(-m t) + C (d e^(-m t) - m e^(-d t)) / (d - m); for d = m the last term is
    C (1 + m t) e^(-m t).
    """
    if t <= 0:
        return 1.0
    m = 1 / service_s
    d = servers * m - rate
    if d <= 0:
        return 1.0
    waits = erlang_c(servers, rate * service_s)
    both = _tail_of_sum(t, m, d)
    return (1 - waits) * math.exp(-m * t) + waits * both


def _tail_of_sum(t: float, m: float, d: float) -> float:
    """P(Exp(m) + Exp(d) > t) = e^(-m t) + integral over x of m e^(-m x) e^(-d (t - x)).

    Written with expm1, so that it does not cancel where the two rates are close.
    """
    gap = abs(d - m) * t
    ratio = 1.0 if gap == 0 else -math.expm1(-gap) / gap
    return math.exp(-m * t) + m * t * math.exp(-min(m, d) * t) * ratio


def mmc_sojourn_quantile(p: float, rate: float, service_s: float, servers: int = 1) -> float:
    """Quantile of the time in FIFO M/M/c, by bisection of `mmc_sojourn_tail`.

    For one server it is -ln(1 - p) / (mu - lambda): the time in the system is exponential.
    """
    if rate * service_s >= servers:
        return math.inf
    low, high = 0.0, service_s
    while mmc_sojourn_tail(high, rate, service_s, servers) > 1 - p:
        low, high = high, 2 * high
    for _ in range(200):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        if mmc_sojourn_tail(middle, rate, service_s, servers) > 1 - p:
            low = middle
        else:
            high = middle
    return high


def mmck_distribution(rate: float, service_s: float, servers: int, places: int) -> list[float]:
    """Probabilities of 0..K requests in M/M/c/K, with `places` = K >= c counting those in service.

    Birth-death: p_n = p_(n-1) lambda / (min(n, c) mu), scaled to sum 1 (Gross & Harris 2.4). The
    weights are rescaled on the way, so that large K neither over- nor underflows.
    """
    weights = [1.0]
    for n in range(1, places + 1):
        weights.append(weights[-1] * rate * service_s / min(n, servers))
        if weights[-1] > 1e200:
            weights = [w * 1e-200 for w in weights]
    total = math.fsum(weights)
    return [w / total for w in weights]


def mmck(rate: float, service_s: float, servers: int, places: int) -> tuple[float, float]:
    """M/M/c/K: (share of arrivals rejected, mean time in the system of those accepted).

    Rejected are those that find K (arrivals see time averages); W = L / (lambda (1 - p_K)).
    """
    p = mmck_distribution(rate, service_s, servers, places)
    length = math.fsum(n * q for n, q in enumerate(p))
    # 1 - p_K as a sum: the difference would cancel under heavy loss.
    accepted = math.fsum(p[:-1])
    return p[-1], length / (rate * accepted)


def mg1_wait(rate: float, service_s: float, variance_s2: float) -> float:
    """Mean wait of M/G/1 (Pollaczek-Khinchine): W_q = lambda E[S^2] / (2 (1 - rho)).

    Kleinrock 5.6. The same for every non-preemptive discipline that does not look at service times.
    """
    rho = rate * service_s
    if rho >= 1:
        return math.inf
    return rate * (variance_s2 + service_s**2) / (2 * (1 - rho))


def mg1_sojourn(rate: float, service_s: float, variance_s2: float) -> float:
    """Mean time in M/G/1 without preemption: wait plus service."""
    return mg1_wait(rate, service_s, variance_s2) + service_s


def mg1_ps_sojourn(rate: float, service_s: float) -> float:
    """Mean time in M/G/1 with processor sharing: S / (1 - rho), whatever the distribution.

    Insensitivity: Kleinrock II 4.4; Harchol-Balter 30.4.
    """
    rho = rate * service_s
    return math.inf if rho >= 1 else service_s / (1 - rho)


def repairman(
    users: int, think_s: float, service_s: float, servers: int = 1
) -> tuple[float, float]:
    """Machine repairman M/M/c//N: (throughput in 1/s, mean time in the system per visit).

    N users think for `think_s` on average, then need an exponential service from c servers. Births
    (N - n) / Z, deaths min(n, c) mu; X = sum of p_n min(n, c) mu, and R = N / X - Z (response time
    law). Gross & Harris 2.7. Insensitive to the distribution of the think time; Z = 0 keeps all
    users in the system.
    """
    mu = 1 / service_s
    if think_s == 0:
        rate = min(users, servers) * mu
        return rate, users / rate
    weights = [1.0]
    for n in range(1, users + 1):
        birth = (users - n + 1) / think_s
        weights.append(weights[-1] * birth / (min(n, servers) * mu))
        if weights[-1] > 1e200:
            weights = [w * 1e-200 for w in weights]
    total = math.fsum(weights)
    rate = math.fsum(w / total * min(n, servers) * mu for n, w in enumerate(weights))
    return rate, users / rate - think_s


def mva(users: int, demands_s: list[float], think_s: float = 0.0) -> tuple[float, float]:
    """Exact mean value analysis of a closed network of single servers, one class.

    R_k(n) = D_k (1 + Q_k(n-1)), X(n) = n / (Z + sum R_k), Q_k(n) = X R_k (Reiser & Lavenberg 1980;
    Harchol-Balter 17). Returns (throughput in 1/s, mean time in the system without thinking).
    """
    queues = [0.0] * len(demands_s)
    rate, response = 0.0, 0.0
    for n in range(1, users + 1):
        stays = [d * (1 + q) for d, q in zip(demands_s, queues, strict=True)]
        response = math.fsum(stays)
        rate = n / (think_s + response)
        queues = [rate * stay for stay in stays]
    return rate, response


def allen_cunneen_wait(
    rate: float, service_s: float, servers: int, cv2_arrivals: float, cv2_service: float
) -> float:
    """Mean wait of G/G/c, approximately: W_q(M/M/c) (c_a^2 + c_s^2) / 2.

    Allen-Cunneen approximation (Allen, Probability, Statistics and Queueing Theory, 1990). Exact
    for M/M/c and M/G/1.
    """
    return mmc_wait(rate, service_s, servers) * (cv2_arrivals + cv2_service) / 2
