#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What does an index cost that lies on many nodes? A discrete-event model of routers, partitions and
network says it for more nodes than there are here, once it has reproduced those that there are.

  cluster_model.py measure --module build/server/hosts/module/engram.so --realtime
  cluster_model.py check
  cluster_model.py plan --figure experiments/figures/cluster.png

measure: searches on 1, 2 and 3 hosts of the module on this machine, and their parts; writes them
         and the costs that are fitted to the parts to data/cluster-points.json.
check:   what the model says of the measured points, beside them. Exit code 1 if a rate, a median or
         a size is further away than 20 %.
plan:    10, 100 and 1,000 nodes of 1e9 vectors. What cannot be measured here is assumed: the
         network, the growth of a search's cost with its partition, and the stops of a node's main
         thread (forks). It is printed above the table.

simulation.py is the machinery, scatter_model.py the model, cluster_points.py what is measured."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from cluster_points import (
    POINTS,
    SEED,
    Point,
    Points,
    measure,
    read_points,
    simulate_point,
    write_points,
)
from common import UserError, require, run_main
from scatter_model import (
    Costs,
    Layout,
    Load,
    Outcome,
    Policy,
    refetch_probability,
    simulate,
)

TOLERANCE = 0.2
VECTORS = 1_000_000_000
NODES = (10, 100, 1000)
COPIES = 2
BYTES_A_VECTOR = 4 * 100 + 150  # 100 dimensions, links of M 16, a key
MOST_SEARCHES = 200_000  # of partitions, in one simulation
FEWEST_QUERIES = 400
PERCENTILES = (50, 95, 99)


# --- check ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compared:
    """A measured figure beside the model's."""

    name: str
    measured: float
    modelled: float

    @property
    def error(self) -> float:
        return self.modelled / self.measured - 1


def compare(points: Points, point: Point) -> list[Compared]:
    """Rate, median, 95th percentile and bytes of one measured point."""
    found = simulate_point(points.costs, points.rows, int(points.machine["cpus"]), point)
    return [
        Compared("rate", point.rate, found.rate),
        Compared("p50", point.p50_ms, found.percentile_ms(50)),
        Compared("bytes", point.bytes, found.bytes / len(found.latencies_s)),
        Compared("p95", point.p95_ms, found.percentile_ms(95)),
    ]


def check(points: Points) -> list[str]:
    """Prints all points beside the model; returns what is further away than the tolerance. The 95th
    percentile is shown and not held to it: the model knows no interrupts and no other programs."""
    far = []
    shown = ("rate", "p50", "bytes", "p95")
    print("| hosts | clients | " + " | ".join(f"{name} | model | off" for name in shown) + " |")
    print("|--:|--:|" + "--:|--:|--:|" * len(shown))
    for point in points.points:
        row = compare(points, point)
        cells = (
            f"{one.measured:,.{_digits(one)}f} | {one.modelled:,.{_digits(one)}f} | {one.error:+.0%}"
            for one in row
        )
        print(f"| {point.hosts} | {point.clients} | " + " | ".join(cells) + " |")
        far += [
            f"{point.hosts} hosts, {point.clients} clients, {one.name}: {one.error:+.0%}"
            for one in row
            if one.name != "p95" and abs(one.error) > TOLERANCE
        ]
    print("\n| hosts | k | k' with a margin of 0.5: asked twice | model |\n|--:|--:|--:|--:|")
    for taken in points.refetches:
        probability = refetch_share(points, taken.hosts, taken.k, taken.margin)
        print(f"| {taken.hosts} | {taken.k} | {taken.share:.1%} | {probability:.1%} |")
    return far


def _digits(one: Compared) -> int:
    return 0 if one.measured >= 100 else 3


def refetch_share(points: Points, hosts: int, k: int, margin: float) -> float:
    """The model's share of searches that ask twice."""
    count = 3000
    load = Load(count, SEED, clients=2)
    found = simulate(points.costs, Layout(hosts, points.rows), Policy(k, margin), load)
    return found.refetches / count


# --- plan -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Assumed:
    """What is not measured here."""

    hop_us: float
    gbit: float
    router_us: float
    growth: float
    workers: int
    routers: int
    load: float
    stall_ms: float
    stall_every_s: float
    k: int


@dataclass(frozen=True)
class Planned:
    """One row: a layout, a policy, and what a search costs under it."""

    nodes: int
    policy: str
    outcome: Outcome


def costs_of(points: Points, assumed: Assumed) -> Costs:
    """Those that were fitted, with an engram router in place of the asker and a network between the
    nodes."""
    message_s = assumed.router_us * 1e-6
    return replace(
        points.costs,
        growth=assumed.growth,
        send_s=message_s,
        receive_s=message_s,
        hit_s=message_s / 50,
        router_turn_s=0.0,
        hop_s=assumed.hop_us * 1e-6,
        bytes_per_s=assumed.gbit * 1e9 / 8,
    )


def limit(costs: Costs, nodes: int, workers: int) -> float:
    """Searches a second that keep all workers of one copy busy: each search visits each partition."""
    rows = VECTORS // nodes
    return workers / (costs.mean_search_s * costs.scale(rows, rows))


def plan(points: Points, assumed: Assumed, nodes: int) -> list[Planned]:
    """All policies at one rate: a share of what the masters alone can do."""
    costs = costs_of(points, assumed)
    rate = assumed.load * limit(costs, nodes, assumed.workers)
    layout = Layout(
        nodes, VECTORS, COPIES, workers=assumed.workers, routers=routers_for(costs, nodes, rate, assumed)
    )
    queries = max(FEWEST_QUERIES, min(10_000, MOST_SEARCHES // nodes))
    load = Load(queries, SEED, rate, None, assumed.stall_ms * 1e-3, assumed.stall_every_s)
    plain = Policy(assumed.k, None)
    fewer = Policy(assumed.k)
    rows = [Planned(nodes, "k of each", simulate(costs, layout, plain, load))]
    masters = simulate(costs, layout, fewer, load)
    rows.append(Planned(nodes, "k'", masters))
    hedge_s = float(np.percentile(masters.partition_s, 95))
    spread = simulate(costs, layout, replace(fewer, reads_replicas=True), load)
    spread_hedge_s = float(np.percentile(spread.partition_s, 95))
    hedged = replace(fewer, hedge_s=hedge_s)
    both = replace(fewer, reads_replicas=True, hedge_s=spread_hedge_s)
    rows.append(Planned(nodes, "k', hedged", simulate(costs, layout, hedged, load)))
    rows.append(Planned(nodes, "k', replicas", spread))
    rows.append(Planned(nodes, "k', both", simulate(costs, layout, both, load)))
    return rows


def routers_for(costs: Costs, nodes: int, rate: float, assumed: Assumed) -> int:
    """So many that each is busy for half of the time at most."""
    message_s = costs.send_s + costs.receive_s + assumed.k * costs.hit_s
    return max(assumed.routers, int(np.ceil(2 * rate * nodes * message_s)))


def show_plan(rows: Sequence[Planned], assumed: Assumed, costs: Costs) -> None:
    gigabytes = VECTORS * BYTES_A_VECTOR / 1e9
    print(
        "| nodes | memory a node | searches/s | policy | "
        + " | ".join(f"p{p:g} ms" for p in PERCENTILES)
        + " | kB | messages | router cores | worker cores | hedged |"
    )
    print("|--:|--:|--:|---|" + "--:|" * (len(PERCENTILES) + 5))
    for row in rows:
        found = row.outcome
        count = len(found.latencies_s)
        times = " | ".join(f"{found.percentile_ms(p):,.1f}" for p in PERCENTILES)
        asked = count * row.nodes
        print(
            f"| {row.nodes:,} | {gigabytes / row.nodes:,.1f} GB | {found.rate:,.0f} | {row.policy} | {times} | "
            f"{found.bytes / count / 1e3:,.1f} | {found.messages / count:,.0f} | {found.router_busy:.1f} | "
            f"{found.worker_busy:,.0f} | {found.hedges / asked:.1%} |"
        )
    for nodes in sorted({row.nodes for row in rows}):
        alone = limit(costs, nodes, assumed.workers)
        twice = refetch_probability(assumed.k, nodes, Policy().margin)
        print(
            f"\n{nodes:,} nodes: the masters' workers are busy at {alone:,.0f} searches/s, a partition's "
            f"search takes {assumed.workers / alone * 1e3:.1f} ms; asked twice: {twice:.1e}"
        )


def draw(points: Points, rows: Sequence[Planned], path: Path) -> None:
    plt = require("matplotlib.pyplot", "python3-matplotlib")
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    for name, marker in (("rate", "o"), ("p50", "s"), ("p95", "^")):
        pairs = [one for point in points.points for one in compare(points, point) if one.name == name]
        label = {"rate": "searches a second", "p50": "median, ms", "p95": "95th percentile, ms"}[name]
        left.plot(
            [one.measured for one in pairs], [one.modelled for one in pairs], marker, label=label
        )
    ends = np.array([0.1, 30_000])
    left.plot(ends, ends, color="gray", linewidth=0.8)
    left.fill_between(ends, ends * (1 - TOLERANCE), ends * (1 + TOLERANCE), color="gray", alpha=0.2)
    left.set(xscale="log", yscale="log", xlabel="measured", ylabel="model")
    left.set_title("1, 2 and 3 hosts on one machine; grey: 20 %")
    left.legend()
    for policy in dict.fromkeys(row.policy for row in rows):
        chosen = [row for row in rows if row.policy == policy]
        nodes = [row.nodes for row in chosen]
        (line,) = right.plot(nodes, [row.outcome.percentile_ms(99) for row in chosen], "o-", label=policy)
        right.plot(
            nodes, [row.outcome.percentile_ms(50) for row in chosen], "--", color=line.get_color()
        )
    right.set(xscale="log", yscale="log", xlabel="nodes", ylabel="ms")
    right.set_title("1e9 vectors: p99 (lines) and median (dashed)")
    right.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


# --- command line ---------------------------------------------------------------------------------


def run_measure(args: argparse.Namespace) -> None:
    if args.realtime:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError as error:
            raise UserError("--realtime needs the right to schedule so: run it as root") from error
    points = measure(args.module, args.rows, args.ef, args.queries, args.rounds, SEED)
    write_points(points, args.points)
    print(f"{len(points.points)} points in {args.points}")


def run_check(args: argparse.Namespace) -> None:
    points = read_points(args.points)
    print_origin(points)
    far = check(points)
    if far:
        sys.exit("further away than 20 %: " + "; ".join(far))


def run_plan(args: argparse.Namespace) -> None:
    points = read_points(args.points)
    names = Assumed.__dataclass_fields__
    assumed = Assumed(**{name: getattr(args, name) for name in names})
    print_origin(points)
    print("assumed: " + ", ".join(f"{name} {getattr(assumed, name):g}" for name in names) + "\n")
    rows = [row for nodes in args.nodes for row in plan(points, assumed, nodes)]
    show_plan(rows, assumed, costs_of(points, assumed))
    if args.figure:
        draw(points, rows, args.figure)


def print_origin(points: Points) -> None:
    facts = points.machine
    print(
        f"measured on {facts['cpu']}, {facts['cpus']} cores, {facts['commit']}: "
        f"{points.rows:,} words in hnsw, EF {points.ef}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=Path, default=POINTS, help="default: %(default)s")
    commands = parser.add_subparsers(dest="command", required=True)
    measuring = commands.add_parser("measure", help="measure here, and fit")
    measuring.add_argument("--module", type=Path, required=True, help="engram.so")
    measuring.add_argument(
        "--realtime", action="store_true", help="run ahead of other programs on the machine"
    )
    for name, usual in (("rows", 60_000), ("ef", 128), ("queries", 2000), ("rounds", 9)):
        measuring.add_argument(f"--{name}", type=int, default=usual, help="default: %(default)s")
    measuring.set_defaults(run=run_measure)
    commands.add_parser("check", help="the model beside what was measured").set_defaults(
        run=run_check
    )
    planning = commands.add_parser("plan", help="what more nodes would do")
    planning.add_argument("--nodes", type=int, nargs="+", default=NODES)
    planning.add_argument("--figure", type=Path, help="draw it there")
    add_assumptions(planning)
    planning.set_defaults(run=run_plan)
    args = parser.parse_args()
    args.run(args)


def add_assumptions(parser: argparse.ArgumentParser) -> None:
    def assume(name: str, usual: Any, what: str) -> None:
        option = "--" + name.replace("_", "-")
        parser.add_argument(option, type=type(usual), default=usual, help=f"{what} (%(default)s)")

    assume("hop_us", 50.0, "one way through the network")
    assume("gbit", 10.0, "bits a second into a machine, in 1e9")
    assume("router_us", 5.0, "a router's processor time for a message")
    assume("growth", 0.44, "exponent of a search's cost in the rows of its partition")
    assume("workers", 8, "of a node")
    assume("routers", 2, "at least; more if they would be busy for more than half of the time")
    assume("load", 0.6, "share of what the masters' workers can do")
    assume("stall_ms", 10.0, "a node's main thread stops for so long (fork)")
    assume("stall_every_s", 60.0, "so often")
    assume("k", 10, "hits of a search")


if __name__ == "__main__":
    run_main(main)
