#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What does the server cost? Asks for the same neighbours through a server of its own with one
worker, and in the process of the native half of compare_graphs.py.

  serve_cost.py glove-100
  serve_cost.py slice --quant f32 --ef 32 64 128 --queries 200

Both sides build hnsw over the same rows and are asked the same queries, cut by the seed as
compare_graphs.py does it. At each ef of a round one side comes after the other, each of them first
as often as second, and these two are compared with each other: the speed of a shared machine
differs by a third from one second to the next. The median of the comparisons counts. Throughput: in
process of one thread on one core, one query at a time; served of 8 connections that each keep 16
searches under way. Time of a query (p50): served to one client that waits for each answer, its own
time included. Client, connections and worker share the machine's cores; the table says how much of
one core the client took beside the throughput. Prints a table, and writes it as JSON.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from operator import sub, truediv
from pathlib import Path
from typing import Any

import numpy as np

from client import Answer, Client
from common import UserError, run_main
from compare_graphs import (
    PEERS,
    Curve,
    Cut,
    Point,
    add_arguments,
    cut,
    describe,
    run,
    usable_efs,
)
from datasets import Dataset, load
from durability import request
from load import build
from measure import PIPELINE_DEPTH, write_results
from processes import engram

# Of the same build as the native half, or their difference would be measured as well.
ENGRAM = PEERS.parents[1] / "server" / "engram"
INDEX = "rows"
SYSTEMS = {"f32": "engram", "sq8": "engram-sq8", "sq4": "engram-sq4"}
RECALL = 0.95
EFS = (128, 160, 200)
CONNECTIONS = 8
DEPTH = 16  # searches under way on each connection
ROUNDS = 25
PARTS = 4  # a connection asks one of so many parts of the queries in a round
RECEIVE_BYTES = 1 << 18
PATIENCE_SECONDS = 60


@dataclass
class Searches:
    """The searches at one ef, and what the server showed in each round."""

    ef: int
    requests: list[bytes]
    recall: float
    qps: list[float] = field(default_factory=list)
    p50_us: list[float] = field(default_factory=list)
    client_share: list[float] = field(default_factory=list)  # of one core

    def point(self) -> Point:
        return Point(self.ef, self.recall, self.qps, self.p50_us)


class Lane:
    """A connection that asks, and counts the answers with as little work as can be: it takes a core
    from the server. An answer has a known number of lines, so their ends are all that is looked at.
    """

    def __init__(self, connection: socket.socket, requests: Sequence[bytes], lines: int) -> None:
        self._connection = connection
        self._requests = requests
        self._lines = lines
        self._sent = 0
        self._received_lines = 0

    @property
    def answered(self) -> int:
        return self._received_lines // self._lines

    @property
    def done(self) -> bool:
        return self.answered == len(self._requests)

    def send(self) -> None:
        """Asks as much as may be under way. That fits into the buffers on the way, so the socket
        hardly ever blocks, although it may."""
        group = self._requests[self._sent : self.answered + DEPTH]
        if group:
            self._connection.sendall(b"".join(group))
            self._sent += len(group)

    def receive(self) -> None:
        part = self._connection.recv(RECEIVE_BYTES)
        if not part:
            raise UserError("the server closed a connection")
        self._received_lines += part.count(b"\n")


def lines_of_answer(k: int) -> int:
    """An array's header, and the length and the content of each of its k keys and k distances."""
    return 1 + 2 * 2 * k


def ask_all(lanes: dict[int, Lane]) -> None:
    """Keeps all connections busy until each has its answers. lanes: by file descriptor."""
    with select.epoll() as poller:
        for descriptor, lane in lanes.items():
            poller.register(descriptor, select.EPOLLIN)
            lane.send()
        waiting = set(lanes)
        while waiting:
            events = poller.poll(PATIENCE_SECONDS)
            if not events:
                raise UserError(f"the server did not answer within {PATIENCE_SECONDS} s")
            for descriptor, _ in events:
                lanes[descriptor].receive()
                lanes[descriptor].send()
                if lanes[descriptor].done:
                    waiting.discard(descriptor)


def measure_throughput(
    connections: Sequence[socket.socket], searches: Searches, lines: int
) -> None:
    """Every connection asks a part of the queries, each beginning with another one; together they
    ask all of them, about equally often."""
    count = len(searches.requests)
    lanes = {}
    for number, connection in enumerate(connections):
        first = number * count // len(connections)
        requests = (searches.requests[first:] + searches.requests[:first])[: -(-count // PARTS)]
        lanes[connection.fileno()] = Lane(connection, requests, lines)
    own_start, start = time.process_time(), time.perf_counter()
    ask_all(lanes)
    seconds, own_seconds = time.perf_counter() - start, time.process_time() - own_start
    searches.qps.append(sum(lane.answered for lane in lanes.values()) / seconds)
    searches.client_share.append(own_seconds / seconds)


def measure_latency(connection: socket.socket, searches: Searches, lines: int) -> None:
    micros = []
    for one in searches.requests:
        lane = Lane(connection, [one], lines)
        start = time.perf_counter()
        lane.send()
        while not lane.done:
            lane.receive()
        micros.append(1e6 * (time.perf_counter() - start))
    searches.p50_us.append(statistics.median(micros))


def recall(answers: Sequence[Answer], truth: np.ndarray) -> float:
    found = sum(
        len({int(key) for key in answer.keys}.intersection(rows.tolist()))
        for answer, rows in zip(answers, truth)
    )
    return found / truth.size


def prepare(
    client: Client, queries: np.ndarray, truth: np.ndarray, efs: Sequence[int]
) -> list[Searches]:
    """Encodes the searches, and asks them once for their recall."""
    k = truth.shape[1]
    prepared = []
    for ef in efs:
        answers = client.search_pipelined(INDEX, queries, k, [("EF", str(ef))], PIPELINE_DEPTH)
        tail = [b"%d" % k, b"EF", b"%d" % ef]
        requests = [request(b"VSEARCH", INDEX.encode(), one.tobytes(), *tail) for one in queries]
        prepared.append(Searches(ef, requests, recall(answers, truth)))
    return prepared


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Keeps this process to a core for as long as the context lasts."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    # A small request must not wait until the one before is acknowledged.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


class Turns:
    """Measures the server at each ef of a round once, as often before the other side as after it."""

    def __init__(self, served: Sequence[Searches], measure: Callable[[Searches], None]) -> None:
        self._served = served
        self._measure = measure
        self._after: Searches | None = None

    def before(self, number: int, ef: int) -> None:
        """To be called before the other side's turn at an ef of a round."""
        self.end()
        place = [searches.ef for searches in self._served].index(ef)
        if (number + place) % 2 == 0:
            self._measure(self._served[place])
        else:
            self._after = self._served[place]

    def end(self) -> None:
        """To be called after the other side's last turn."""
        if self._after is not None:
            self._measure(self._after)
        self._after = None


@contextmanager
def serving(
    args: argparse.Namespace, parts: Cut, truth: np.ndarray
) -> Iterator[tuple[list[Searches], Callable[[Searches], None]]]:
    """A server with an index. Yields the searches at each ef, and what measures one of them."""
    keys = [b"%d" % row for row in range(len(parts.rows))]
    data = Dataset(args.dataset, parts.metric, keys, parts.rows, None)
    options = [
        ("M", str(args.m)),
        ("EF_CONSTRUCTION", str(args.ef_construction)),
        ("QUANT", args.quant),
    ]
    lines = lines_of_answer(args.k)
    with ExitStack() as stack:
        server = stack.enter_context(engram(args.server, "--workers", "1"))
        server.start().close()
        client = Client("127.0.0.1", server.port)
        build(client, INDEX, data, parts.metric, "hnsw", options)
        prepared = prepare(client, parts.queries, truth, usable_efs(args))
        connections = [stack.enter_context(connect(server.port)) for _ in range(CONNECTIONS)]

        def measure(searches: Searches) -> None:
            with pinned(args.client_core):
                measure_throughput(connections, searches, lines)
                measure_latency(connections[0], searches, lines)

        yield prepared, measure


def ratios_of_rounds(in_process: Curve, served: Curve) -> list[float]:
    """The throughput served as a multiple of that in process, at RECALL in each round. Empty where
    one of the curves ends below RECALL or begins above it."""
    pairs = [
        (in_process.in_round(number).qps_at(RECALL), served.in_round(number).qps_at(RECALL))
        for number in range(len(in_process.points[0].qps_of_rounds))
    ]
    return [
        there.qps / here.qps
        for here, there in pairs
        if here and there and not here.at_least and not there.at_least
    ]


def describe_ratios(ratios: Sequence[float]) -> str:
    if not ratios:
        return "-"
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    return f"median {middle:.3f}, half of them from {low:.3f} to {high:.3f}"


def print_table(in_process: Curve, served: Sequence[Searches]) -> None:
    print(f"{'':6}{'recall':>18}{'queries per second':>30}{'client':>8}{'p50, µs':>28}")
    print(
        f"{'ef':>6}{'in process':>11}{'served':>7}{'in process':>12}{'served':>9}{'ratio':>9}"
        f"{'share':>8}{'in process':>12}{'served':>8}{'added':>8}"
    )
    for own, searches in zip(in_process.points, served):
        point = searches.point()
        ratio = statistics.median(map(truediv, point.qps_of_rounds, own.qps_of_rounds))
        added = statistics.median(map(sub, point.p50_us_of_rounds, own.p50_us_of_rounds))
        print(
            f"{own.ef:6}{own.recall:11.4f}{point.recall:7.4f}{own.qps:12,.0f}{point.qps:9,.0f}"
            f"{ratio:9.3f}{statistics.median(searches.client_share):8.0%}"
            f"{own.p50_us:12.1f}{point.p50_us:8.1f}{added:8.1f}"
        )


def results_of(in_process: Curve, served: Sequence[Searches]) -> list[dict[str, Any]]:
    """By ef, both sides and what the served one showed in each round."""
    return [
        {
            "in_process": asdict(own),
            "served": asdict(searches.point()),
            "client_share_of_rounds": searches.client_share,
        }
        for own, searches in zip(in_process.points, served)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.set_defaults(ef=EFS, rounds=ROUNDS)
    parser.add_argument("--quant", choices=SYSTEMS, default="sq4", help="default sq4")
    parser.add_argument("--server", type=Path, default=ENGRAM, help="the server to run")
    parser.add_argument("--client-core", type=int, help="keep the client to it (default: to none)")
    args = parser.parse_args()

    parts = cut(load(args.dataset), args.queries, args.seed)
    truth = parts.truth(args.k)
    with serving(args, parts, truth) as (served, measure):
        turns = Turns(served, measure)
        (in_process,) = run(
            args,
            [SYSTEMS[args.quant]],
            parts,
            truth,
            enough_recall=1,  # every ef counts here, however good the one before is
            before_turn=turns.before,
        )
        turns.end()

    print_table(in_process, served)
    through_server = Curve("served", {}, 0, [searches.point() for searches in served])
    own, other = in_process.qps_at(RECALL), through_server.qps_at(RECALL)
    ratios = ratios_of_rounds(in_process, through_server)
    print(
        f"at recall {RECALL}: in process {own or '-'}, served {other or '-'}; "
        f"ratio in a round: {describe_ratios(ratios)}"
    )
    facts = {**describe(args), "quant": args.quant, "rows": len(parts.rows)}
    at_recall = {
        "recall": RECALL,
        "in_process": own and asdict(own),
        "served": other and asdict(other),
        "ratio_of_rounds": ratios,
    }
    path = write_results(
        args,
        f"serve-cost-{args.dataset}-{args.quant}",
        {**facts, "points": results_of(in_process, served), "at_recall": at_recall},
    )
    print(f"written: {path}")


if __name__ == "__main__":
    run_main(main)
