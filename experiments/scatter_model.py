# SPDX-License-Identifier: Apache-2.0
"""The model of a scattered search: routers ask every partition of an index for its hits and merge
them. Each message costs the router's processor, the network, the main thread of a node, a worker
there, and all of it on the way back."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Callable, Iterator

import numpy as np

from simulation import Cores, Link, Simulation, Threads

HEDGED_SHARE = 0.05
DRAWN_AT_ONCE = 1 << 15


@dataclass(frozen=True)
class Costs:
    """What one message, search or hit costs; seconds of a processor unless the name says bytes.
    `search_s` is a sample of searches in a partition of `reference_rows` that is alone on its
    machine; among n times as many a search takes n^growth times as long."""

    search_s: tuple[float, ...]
    reference_rows: int
    growth: float
    send_s: float  # the router's, a request
    receive_s: float  # the router's, a reply
    hit_s: float  # the router's, a hit of a reply
    accept_s: float  # the main thread's, a request
    answer_s: float  # the main thread's, a reply
    wake_s: float  # from one thread's end to the other's start; uses no processor
    hop_s: float  # one way through the network; uses no processor
    bytes_per_s: float
    request_bytes: int
    reply_bytes: int  # without hits
    hit_bytes: float
    router_turn_s: float = 0.0  # see Threads
    main_turn_s: float = 0.0
    worker_turn_s: float = 0.0
    switch: float = 1.0

    @property
    def mean_search_s(self) -> float:
        return float(np.mean(self.search_s))

    def scale(self, rows: int, beside: int) -> float:
        """How much longer a search takes in a partition of `rows` on a machine with `beside` rows in
        all. Its hops grow as log(rows); the rest of the growth is that of a hop, which misses
        caches that all partitions of the machine share."""
        return float(
            (beside / self.reference_rows) ** self.growth * math.log(rows) / math.log(beside)
        )


@dataclass(frozen=True)
class Layout:
    """Where things are: a node for each partition and copy, each on a machine of its own that has a
    core for each thread; or all of it, routers too, on one machine of `shared_cores`."""

    partitions: int
    rows: int  # of the whole index
    copies: int = 1
    workers: int = 2  # that search, on each node
    routers: int = 1
    shared_cores: int | None = None


@dataclass(frozen=True)
class Policy:
    """How a router asks. `margin` is that of fewer_hits(), None: each partition is asked for k.
    `hedge_s`: another copy is asked as well after so long, but for no more than HEDGED_SHARE of all
    requests: without a bound, hedges that answer an overload make it one that stays."""

    k: int = 10
    margin: float | None = 3.0
    reads_replicas: bool = False
    hedge_s: float | None = None


@dataclass(frozen=True)
class Load:
    """`queries` searches: by Poisson arrivals of `rate` a second, or by `clients` of which each asks
    again once it has its answer. A node's main thread stops for `stall_s` every `stall_every_s`
    (forks)."""

    queries: int
    seed: int
    rate: float | None = None
    clients: int | None = None
    stall_s: float = 0.0
    stall_every_s: float = math.inf


@dataclass
class Outcome:
    """What the searches took, in the order of their ends, and what they cost."""

    latencies_s: list[float] = field(default_factory=list)
    partition_s: list[float] = field(default_factory=list)  # of first requests to a partition
    messages: int = 0
    bytes: int = 0
    refetches: int = 0  # searches that had to ask twice
    hedges: int = 0
    elapsed_s: float = 0.0
    router_busy: float = 0.0  # cores' worth
    main_busy: float = 0.0  # cores' worth, of all nodes
    worker_busy: float = 0.0  # the same

    @property
    def rate(self) -> float:
        return len(self.latencies_s) / self.elapsed_s

    def percentile_ms(self, percent: float) -> float:
        return float(np.percentile(self.latencies_s, percent)) * 1e3


def fewer_hits(k: int, partitions: int, margin: float | None) -> int:
    """k', the hits that each partition is asked for at first: those that hash to it are k / P on
    average with a standard deviation of at most sqrt(k / P)."""
    if margin is None:
        return k
    mean = k / partitions
    return min(k, math.ceil(mean + margin * math.sqrt(mean) + margin))


def refetch_probability(k: int, partitions: int, margin: float | None) -> float:
    """That a partition holds k' or more of the k nearest, by the union over partitions: from above,
    and close where it is small."""
    asked = fewer_hits(k, partitions, margin)
    if asked == k:
        return 0.0
    p = 1 / partitions
    tail = sum(math.comb(k, i) * p**i * (1 - p) ** (k - i) for i in range(asked, k + 1))
    return min(1.0, partitions * tail)


def _draws(make: Callable[[], np.ndarray]) -> Iterator[float]:
    return chain.from_iterable(iter(lambda: make().tolist(), None))


class _Machines:
    """The threads and links of a layout."""

    def __init__(self, simulation: Simulation, costs: Costs, layout: Layout) -> None:
        shared = Cores(layout.shared_cores)
        nodes = range(layout.partitions * layout.copies)

        def link() -> Link:
            return Link(simulation, costs.hop_s, costs.bytes_per_s)

        self.routers = [
            Threads(simulation, shared, 1, costs.router_turn_s, costs.switch) for _ in range(layout.routers)
        ]
        self.mains = [Threads(simulation, shared, 1, costs.main_turn_s, costs.switch) for _ in nodes]
        self.workers = [Threads(simulation, shared, layout.workers, costs.worker_turn_s, costs.switch) for _ in nodes]
        self.to_routers = [link() for _ in self.routers]
        self.to_nodes = [link() for _ in nodes]


class _Query:
    """One search under way."""

    __slots__ = ("began", "left", "router", "again")

    def __init__(self, began: float, left: int, router: int, again: list[int]) -> None:
        self.began = began
        self.left = left  # partitions without an answer
        self.router = router
        self.again = again  # partitions that must be asked for all k


class _Run:
    """One simulation; see simulate()."""

    def __init__(self, costs: Costs, layout: Layout, policy: Policy, load: Load) -> None:
        self.costs, self.layout, self.policy, self.load = costs, layout, policy, load
        self.simulation = Simulation()
        self.machines = _Machines(self.simulation, costs, layout)
        self.outcome = Outcome()
        self.begun = 0
        self.requests = 0
        self.rng = np.random.default_rng(load.seed)
        rows = layout.rows // layout.partitions
        scale = costs.scale(rows, rows if layout.shared_cores is None else layout.rows)
        searches = np.asarray(costs.search_s) * scale
        self.searches = _draws(lambda: self.rng.choice(searches, DRAWN_AT_ONCE))
        self.uniforms = _draws(lambda: self.rng.random(DRAWN_AT_ONCE))
        self.asked = fewer_hits(policy.k, layout.partitions, policy.margin)

    def run(self) -> Outcome:
        if self.load.clients is not None:
            for _ in range(min(self.load.clients, self.load.queries)):
                self.begin()
        else:
            self.arrive()
        if self.load.stall_s > 0:
            for node in range(len(self.machines.mains)):
                self.simulation.after(
                    next(self.uniforms) * self.load.stall_every_s, partial(self.stall, node)
                )
        self.simulation.run()
        outcome, links = self.outcome, (*self.machines.to_routers, *self.machines.to_nodes)
        outcome.bytes = sum(link.bytes for link in links)
        outcome.router_busy = self.cores_of(self.machines.routers)
        outcome.main_busy = self.cores_of(self.machines.mains)
        outcome.worker_busy = self.cores_of(self.machines.workers)
        return outcome

    def cores_of(self, threads: list[Threads]) -> float:
        return sum(one.busy_seconds for one in threads) / self.outcome.elapsed_s

    def is_over(self) -> bool:
        return len(self.outcome.latencies_s) == self.load.queries

    def stall(self, node: int) -> None:
        if self.is_over():
            return
        self.machines.mains[node].submit(self.load.stall_s, lambda: None)
        self.simulation.after(self.load.stall_every_s, partial(self.stall, node))

    def arrive(self) -> None:
        assert self.load.rate is not None
        self.begin()
        if self.begun < self.load.queries:
            gap = -math.log(1 - next(self.uniforms)) / self.load.rate
            self.simulation.after(gap, self.arrive)

    def begin(self) -> None:
        self.begun += 1
        query = _Query(
            self.simulation.now,
            self.layout.partitions,
            int(next(self.uniforms) * self.layout.routers),
            self.draw_refetches(),
        )
        for partition in range(self.layout.partitions):
            self.ask(query, partition, self.asked)

    def draw_refetches(self) -> list[int]:
        """The partitions that hold so many of the k nearest that they may hold more."""
        if self.asked == self.policy.k:
            return []
        counts: dict[int, int] = {}
        for _ in range(self.policy.k):
            partition = int(next(self.uniforms) * self.layout.partitions)
            counts[partition] = counts.get(partition, 0) + 1
        return [partition for partition, count in counts.items() if count >= self.asked]

    def ask(self, query: _Query, partition: int, hits: int) -> None:
        """Asks one copy of a partition, and another where the policy hedges; the first answer
        counts."""
        copy = 0
        if self.policy.reads_replicas:
            copy = int(next(self.uniforms) * self.layout.copies)
        self.requests += 1
        state = [False]  # answered

        def send(copy: int) -> None:
            self.outcome.messages += 1
            node = partition * self.layout.copies + copy
            answered = partial(self.receive, query, partition, hits, state, self.simulation.now)
            self.machines.routers[query.router].submit(
                self.costs.send_s, partial(self.visit, query.router, node, hits, answered)
            )

        def hedge() -> None:
            if not state[0] and self.outcome.hedges < HEDGED_SHARE * self.requests:
                self.outcome.hedges += 1
                send((copy + 1) % self.layout.copies)

        send(copy)
        if self.policy.hedge_s is not None and self.layout.copies > 1:
            self.simulation.after(self.policy.hedge_s, hedge)

    def visit(self, router: int, node: int, hits: int, answered: Callable[[], None]) -> None:
        """A request on its way through a node and back."""
        costs, machines, simulation = self.costs, self.machines, self.simulation
        reply = round(costs.reply_bytes + hits * costs.hit_bytes)
        search_s = next(self.searches)

        def arrive() -> None:
            machines.mains[node].submit(costs.accept_s, hand_over)

        def hand_over() -> None:
            simulation.after(costs.wake_s, search)

        def search() -> None:
            machines.workers[node].submit(search_s, hand_back)

        def hand_back() -> None:
            simulation.after(costs.wake_s, answer)

        def answer() -> None:
            machines.mains[node].submit(costs.answer_s, leave)

        def leave() -> None:
            machines.to_routers[router].send(reply, back)

        def back() -> None:
            self.outcome.messages += 1
            machines.routers[router].submit(costs.receive_s + hits * costs.hit_s, answered)

        machines.to_nodes[node].send(costs.request_bytes, arrive)

    def receive(
        self, query: _Query, partition: int, hits: int, state: list[bool], sent: float
    ) -> None:
        if state[0]:
            return
        state[0] = True
        if hits == self.asked:
            self.outcome.partition_s.append(self.simulation.now - sent)
        query.left -= 1
        if query.left > 0:
            return
        if query.again:
            again, query.again = query.again, []
            query.left = len(again)
            self.outcome.refetches += 1
            for partition in again:
                self.ask(query, partition, self.policy.k)
            return
        self.outcome.latencies_s.append(self.simulation.now - query.began)
        self.outcome.elapsed_s = self.simulation.now
        if self.load.clients is not None and self.begun < self.load.queries:
            self.begin()


def simulate(costs: Costs, layout: Layout, policy: Policy, load: Load) -> Outcome:
    """Runs `load` against an empty cluster until every search has its answer."""
    return _Run(costs, layout, policy, load).run()
