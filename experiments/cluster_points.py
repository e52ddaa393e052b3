# SPDX-License-Identifier: Apache-2.0
"""Measures scattered searches on 1, 2 and 3 hosts of the module on this machine, and what their parts
cost; fits the model's costs to the parts. To the searches themselves one number is fitted, the share
of a turn that a switch between threads takes: the model is checked against them.

Costs are processor time, by the kernel's own account of each thread, so that other programs on the
machine change them little."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from client import Client
from common import HERE, environment
from datasets import load, sample_queries
from processes import ServerProcess
from scatter_gather import Asker, Measured, module_host, partition_of
from scatter_model import Costs, Layout, Load, Outcome, Policy, fewer_hits, simulate

POINTS = HERE / "data" / "cluster-points.json"
DATASET = "glove-100"
TINY = "tiny"
TINY_ROWS = 16
FEW, MANY = 10, 100  # hits
HOSTS = (1, 2, 3)
CLIENTS = (1, 2, 4, 8)
WORKERS = 2
QUANTILES = 201
SWITCHES = tuple(np.arange(0, 1.01, 0.05).round(2).tolist())
SIMULATED = 3000
SEED = 42
ASK_ALL = Policy(FEW, margin=None)
REQUEST_BYTES = 468  # a query of 100 dimensions with its words


@dataclass(frozen=True)
class Point:
    """What `clients` searches at a time took on so many hosts, in the fastest of the rounds: other
    programs on the machine slow down all others."""

    hosts: int
    clients: int
    rate: float
    p50_ms: float
    p95_ms: float
    bytes: float  # a search
    processor_us: tuple[float, ...]  # a search: the asker's, main threads', workers'


@dataclass(frozen=True)
class Refetch:
    """The share of searches that asked twice, where each host was asked for `asked` of k hits."""

    hosts: int
    k: int
    margin: float
    share: float


@dataclass(frozen=True)
class Points:
    """All that is measured, and the costs that were fitted to its parts."""

    machine: dict[str, Any]
    rows: int
    ef: int
    costs: Costs
    points: list[Point]
    refetches: list[Refetch]


def read_points(path: Path = POINTS) -> Points:
    told = json.loads(path.read_text(encoding="utf-8"))
    told["costs"]["search_s"] = tuple(told["costs"]["search_s"])
    return Points(
        machine=told["machine"],
        rows=told["rows"],
        ef=told["ef"],
        costs=Costs(**told["costs"]),
        points=[Point(**point) for point in told["points"]],
        refetches=[Refetch(**refetch) for refetch in told["refetches"]],
    )


def write_points(points: Points, path: Path) -> None:
    path.write_text(json.dumps(asdict(points), indent=1) + "\n", encoding="utf-8")


class _Bench:
    """Three hosts. The index `p3` lies in three partitions on them, `p2` in two on the first two,
    and `p1` on the first alone."""

    def __init__(self, hosts: Sequence[ServerProcess], rows: int, ef: int, queries: int, seed: int):
        self._hosts = hosts
        self.ef = ef
        data = load(DATASET)
        chosen = np.random.default_rng(seed).choice(len(data.keys), rows, replace=False)
        keys = [data.keys[row] for row in chosen]
        vectors = np.asarray(data.vectors[chosen])
        clients = [Client("127.0.0.1", host.port) for host in hosts]
        for count in HOSTS:
            places = np.array([partition_of(key, count) for key in keys])
            for place, client in enumerate(clients[:count]):
                mine = np.flatnonzero(places == place)
                client.create(f"p{count}", data.dim, data.metric, "hnsw")
                client.add(f"p{count}", [keys[i] for i in mine], vectors[mine])
        clients[0].create(TINY, data.dim, data.metric, "flat")
        clients[0].add(TINY, keys[:TINY_ROWS], vectors[:TINY_ROWS])
        self.queries = sample_queries(data, queries, seed, "unseen").vectors.astype("<f4")

    def run(
        self, index: str, hosts: int, clients: int, k: int = FEW, hits: int | None = None, repeats: int = 1
    ) -> Measured:
        used = self._hosts[:hosts]
        options = [] if index == TINY else ["EF", str(self.ef)]
        asker = Asker([host.port for host in used], index, k, hits or k, options)
        return asker.run(np.tile(self.queries, (repeats, 1)), clients, [host.pid for host in used])


def measure(
    module: Path, rows: int, ef: int, queries: int, rounds: int, seed: int
) -> Points:
    """Starts the hosts, measures, ends them."""
    machine = environment()
    with ExitStack() as stack:
        hosts = [stack.enter_context(module_host(module, WORKERS)) for _ in HOSTS]
        for host in hosts:
            host.start().close()
        bench = _Bench(hosts, rows, ef, queries, seed)
        grid: dict[tuple[int, int], list[Measured]] = {}
        parts: dict[str, list[Measured]] = {}
        for _ in range(rounds):
            for name in (TINY, *(f"p{count}" for count in HOSTS)):
                parts.setdefault(name, []).append(bench.run(name, 1, 1))
            parts.setdefault("busy", []).append(bench.run(TINY, 1, CLIENTS[-1], repeats=8))
            parts.setdefault("many", []).append(bench.run(f"p{HOSTS[0]}", 1, 1, MANY))
            for count in HOSTS:
                for clients in CLIENTS:
                    taken = bench.run(f"p{count}", count, clients)
                    grid.setdefault((count, clients), []).append(taken)
        points = [
            _point(hosts, clients, max(taken, key=lambda one: one.rate))
            for (hosts, clients), taken in grid.items()
        ]
        refetches = [_refetch(bench, count, k) for count in HOSTS[1:] for k in (FEW, MANY)]
        costs = fit(parts, grid[HOSTS[0], CLIENTS[-1]], rows, queries)
        cores = int(machine["cpus"])
        costs = fit_switch(costs, rows, cores, points)
    return Points(machine, rows, ef, costs, points, refetches)


def _point(hosts: int, clients: int, taken: Measured) -> Point:
    count = len(taken.latencies_s)
    used = (taken.used.asker, taken.used.mains, taken.used.workers)
    return Point(
        hosts,
        clients,
        taken.rate,
        taken.percentile_ms(50),
        taken.percentile_ms(95),
        taken.bytes / count,
        tuple(seconds / count * 1e6 for seconds in used),
    )


def _refetch(bench: _Bench, hosts: int, k: int, margin: float = 0.5) -> Refetch:
    """With a margin by which some searches have to ask twice."""
    taken = bench.run(f"p{hosts}", hosts, 2, k, fewer_hits(k, hosts, margin))
    return Refetch(hosts, k, margin, taken.refetches / len(taken.latencies_s))


def fit(
    parts: dict[str, list[Measured]], busy: list[Measured], rows: int, queries: int
) -> Costs:
    """From searches on one host: in a tiny index and in a partition of each size, one at a time, and
    `busy`, in the first partition, many at a time, of which only the processor time counts. What a
    search in the tiny index costs more alone than among many is what it costs threads to wake up
    and to fall asleep."""
    tiny, whole, many = parts[TINY], parts[f"p{HOSTS[0]}"], parts["many"]

    def used(taken: Sequence[Measured], thread: str) -> float:
        return min(getattr(one.used, thread) / len(one.latencies_s) for one in taken)

    def turn_s(thread: str, times: int) -> float:
        """A search wakes the thread so often, if nothing else is under way."""
        among_many = busy if thread == "workers" else parts["busy"]
        return max(0.0, used(whole, thread) - used(among_many, thread)) / (2 * times)

    hit_s = max(0.0, (used(many, "asker") - used(whole, "asker")) / (MANY - FEW))
    message_s = (used(parts["busy"], "asker") - FEW * hit_s) / 2
    main_s = used(parts["busy"], "mains") / 2
    turns = {"asker": turn_s("asker", 1), "mains": turn_s("mains", 2), "workers": turn_s("workers", 1)}
    tiny_s, whole_s = (min(one.percentile_ms(50) * 1e-3 for one in taken) for taken in (tiny, whole))
    worked_s = 2 * (message_s + main_s) + FEW * hit_s + used(busy, "workers")
    woken_s = turns["asker"] + 2 * turns["mains"] + turns["workers"]
    idle_s = max(0.0, whole_s - worked_s - woken_s) / 4
    # A query's own time is the least of the rounds: what delayed it otherwise was not its own.
    fastest = np.min([one.latencies_s for one in whole], axis=0)
    shape = np.maximum(fastest - tiny_s, 1e-6)
    search_s = np.quantile(shape, np.linspace(0, 1, QUANTILES)) * used(busy, "workers") / shape.mean()
    sizes = [rows // count for count in HOSTS]
    spent = [used(parts[f"p{count}"], "workers") for count in HOSTS]
    few_bytes, many_bytes = (median(one.bytes for one in taken) / queries for taken in (whole, many))
    hit_bytes = (many_bytes - few_bytes) / (MANY - FEW)
    return Costs(
        search_s=tuple(round(float(s), 9) for s in search_s),
        reference_rows=rows,
        growth=float(np.polyfit(np.log(sizes), np.log(spent), 1)[0]),
        send_s=message_s,
        receive_s=message_s,
        hit_s=hit_s,
        accept_s=main_s,
        answer_s=main_s,
        wake_s=idle_s,
        hop_s=idle_s,
        bytes_per_s=float("inf"),
        request_bytes=REQUEST_BYTES,
        reply_bytes=round(few_bytes - FEW * hit_bytes - REQUEST_BYTES),
        hit_bytes=hit_bytes,
        router_turn_s=turns["asker"],
        main_turn_s=turns["mains"],
        worker_turn_s=turns["workers"],
    )


def fit_switch(costs: Costs, rows: int, cores: int, points: Sequence[Point]) -> Costs:
    """With the `switch` by which the furthest of `points` is closest to the model."""

    def error(switch: float) -> float:
        model = replace(costs, switch=switch)
        found = [(point, simulate_point(model, rows, cores, point)) for point in points]
        return max(
            max(abs(one.rate / point.rate - 1), abs(one.percentile_ms(50) / point.p50_ms - 1))
            for point, one in found
        )

    return replace(costs, switch=min(SWITCHES, key=error))


def simulate_point(costs: Costs, rows: int, cores: int, point: Point) -> Outcome:
    """What the model says of that point: all hosts on one machine of so many cores."""
    layout = Layout(point.hosts, rows, workers=WORKERS, shared_cores=cores)
    return simulate(costs, layout, ASK_ALL, Load(SIMULATED, SEED, clients=point.clients))
