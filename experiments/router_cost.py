#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What does a router cost? Searches of one client, by turns at a node with the module and through a router
to that node (one partition); then the rate of many clients of two partitions on two processes behind a
router, beside one server with two workers that holds all.

  nice -n -15 experiments/router_cost.py --program build/server/engram \\
    --module build/server/hosts/module/engram.so

All of it shares the cores of this machine. Milliseconds, but for processor time in microseconds."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from client import Client
from common import add_rounds, environment, progress, run_main
from datasets import Dataset, load, sample_queries
from processes import engram
from redis_cluster import Cluster, Node, Router, end_nodes, start_nodes
from scatter_gather import Asker, Measured
from sources import SPECS

INDEX = "words"
K = 10
EF = ("EF", "128")
# A node that waits for the processor has not failed.
NODE_TIMEOUT_MS = 15_000
ROUTER_TIMEOUT_MS = 60_000


@dataclass
class Target:
    """Where searches go, and whose processor time counts."""

    what: str
    port: int
    asker: Asker
    pids: list[int]
    runs: list[Measured]

    def run(self, queries: np.ndarray, clients: int) -> None:
        self.runs.append(self.asker.run(queries, clients, self.pids))

    def p50_ms(self) -> float:
        return float(np.median([latency for run in self.runs for latency in run.latencies_s])) * 1e3

    def percentile_ms(self, percent: float) -> float:
        latencies = [latency for run in self.runs for latency in run.latencies_s]
        return float(np.percentile(latencies, percent)) * 1e3

    def rate(self) -> float:
        return float(np.median([run.rate for run in self.runs]))

    def cpu_us(self) -> tuple[str, str]:
        """Processor time of main threads, and of workers, for a search."""
        searches = sum(len(run.latencies_s) for run in self.runs)
        mains = sum(run.used.mains for run in self.runs)
        workers = sum(run.used.workers for run in self.runs)
        return f"{mains / searches * 1e6:.0f}", f"{workers / searches * 1e6:.0f}"


def row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def target(what: str, port: int, command: str, name: str, pids: Sequence[int]) -> Target:
    asker = Asker([port], name, K, K, EF, command)
    return Target(what, port, asker, list(pids), [])


@contextmanager
def cluster(
    args: argparse.Namespace, data: Dataset, masters: int, workers: int
) -> Iterator[tuple[Cluster, Router]]:
    """As many nodes as partitions, a router before them, and the dataset in them."""
    with tempfile.TemporaryDirectory(prefix="engram-experiment-") as folder:

        def start_one(i: int) -> Node:
            place = Path(folder) / f"node{i}"
            return Node(place, args.module.resolve(), NODE_TIMEOUT_MS, workers=workers)

        nodes = start_nodes(masters, start_one)
        try:
            made = Cluster(nodes, masters)
            patient = ("--node-timeout", ROUTER_TIMEOUT_MS)
            router = Router(Path(folder) / "router", args.program, made.addresses(), patient)
            try:
                fill(router.port, data, [("PARTITIONS", str(masters))])
                yield made, router
            finally:
                router.kill()
        finally:
            end_nodes(nodes)


def fill(port: int, data: Dataset, options: Sequence[tuple[str, str]] = ()) -> None:
    client = Client("127.0.0.1", port)
    client.create(INDEX, data.dim, data.metric, "hnsw", options)
    client.add(INDEX, data.keys, data.vectors)


def first(data: Dataset, rows: int | None) -> Dataset:
    return replace(data, keys=data.keys[:rows], vectors=np.asarray(data.vectors[:rows]))


def pid_of(process: Node | Router) -> int:
    assert process.process is not None
    return process.process.pid


def take_turns(
    targets: Sequence[Target], queries: np.ndarray, clients: int, rounds: int
) -> None:
    """Each target in each round, the first one first or last in turns. A round before does not count."""
    with progress(rounds + 1, f"{clients} clients", "rounds") as bar:
        for number in range(rounds + 1):
            for one in targets if number % 2 else reversed(targets):
                one.run(queries, clients)
                if number == 0:
                    one.runs.clear()
            bar.update()


def measure_latency(args: argparse.Namespace, data: Dataset, queries: np.ndarray) -> None:
    with cluster(args, data, masters=1, workers=1) as (made, router):
        [(key, node)] = made.partitions(INDEX).items()
        direct = target("at the node", node.port, "ENGRAM.VSEARCH", key, [pid_of(node)])
        routed = target("through a router", router.port, "VSEARCH", INDEX, [pid_of(router)])
        take_turns([direct, routed], queries, 1, args.rounds)
    print("| one client, one partition | p50 | p95 | p99 | processor: main | workers |")
    print("|---|--:|--:|--:|--:|--:|")
    for one in (direct, routed):
        cells = [one.p50_ms(), one.percentile_ms(95), one.percentile_ms(99)]
        print(row(one.what, *(f"{cell:.3f}" for cell in cells), *one.cpu_us()))
    print(f"\nThe router adds {(routed.p50_ms() - direct.p50_ms()) * 1e3:.0f} us to the median.\n")


def measure_rate(args: argparse.Namespace, data: Dataset, queries: np.ndarray) -> None:
    with cluster(args, data, masters=2, workers=1) as (made, router), cluster(
        args, data, masters=1, workers=2
    ) as (single, before_one), engram(args.program, "--workers", "2") as server:
        server.start().close()
        fill(server.port, data)
        [(key, node)] = single.partitions(INDEX).items()
        pids = [pid_of(node) for node in made.nodes]
        targets = [
            target("engram's server, 2 workers", server.port, "VSEARCH", INDEX, [server.pid]),
            target("a node, 2 workers", node.port, "ENGRAM.VSEARCH", key, [pid_of(node)]),
            target(
                "that node through a router",
                before_one.port,
                "VSEARCH",
                INDEX,
                [pid_of(node), pid_of(before_one)],
            ),
            target(
                "2 partitions on 2 nodes of 1 worker, through a router",
                router.port,
                "VSEARCH",
                INDEX,
                [*pids, pid_of(router)],
            ),
        ]
        take_turns(targets, queries, args.clients, args.rounds)
    print(f"| {args.clients} clients | searches/s | p50 | p95 | processor: main | workers |")
    print("|---|--:|--:|--:|--:|--:|")
    for one in targets:
        times = (f"{one.p50_ms():.3f}", f"{one.percentile_ms(95):.3f}")
        print(row(one.what, f"{one.rate():,.0f}", *times, *one.cpu_us()))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--program", type=Path, required=True, help="engram")
    parser.add_argument("--module", type=Path, required=True, help="engram.so")
    parser.add_argument("--dataset", choices=["slice", *SPECS], default="slice")
    parser.add_argument("--rows", type=int, help="of the dataset, the first ones (default: all)")
    parser.add_argument("--queries", type=int, default=1000, help="of a round")
    parser.add_argument("--clients", type=int, default=8, help="where rates are measured")
    parser.add_argument("--seed", type=int, default=1, help="of the queries")
    add_rounds(parser, usual=10)
    args = parser.parse_args()
    data = first(load(args.dataset), args.rows)
    queries = np.asarray(sample_queries(data, args.queries, args.seed, "unseen").vectors, dtype="<f4")
    facts = environment()
    machine_load = Path("/proc/loadavg").read_text().split()[0]
    print(f"{facts['cpu']}, {facts['cpus']} cores, Linux {facts['kernel']}, {facts['commit']}; load {machine_load}")
    print(f"{len(data.keys):,} vectors of {data.dim}, hnsw, k {K}, {' '.join(EF)}")
    print(f"{args.rounds} rounds of {args.queries} queries, seed {args.seed}\n")
    measure_latency(args, data, queries)
    measure_rate(args, data, queries)


if __name__ == "__main__":
    run_main(main)
