#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What does the server cost? Asks for the same neighbours through a server of its own with one
worker, and in the process of the native half of compare_graphs.py.

  serve_cost.py glove-100
  serve_cost.py slice --quant f32 --ef 32 64 128 --queries 200

Both sides build hnsw over the same rows and are asked the same queries, cut by the seed as
compare_graphs.py does it, at each ef; they take turns, so that what else the machine does slows
both. Throughput: in process of one thread on one core, one query at a time; served of 8 connections
that each keep 16 searches under way. Time of a query (p50): served to one client that waits for
each answer, its own time included. Client, connections and worker share the machine's cores; the
table says how much of one core the client took beside the throughput. The median over the rounds
counts. Prints a table, and writes it as JSON.
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
    ratio,
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
RECEIVE_BYTES = 1 << 18
PATIENCE_SECONDS = 60


@dataclass
class Searches:
    """The searches at one ef, and what the server showed."""

    ef: int
    requests: list[bytes]
    recall: float
    qps: list[float] = field(default_factory=list)  # one a round
    client_share: list[float] = field(default_factory=list)  # of one core, one a round
    micros: list[float] = field(default_factory=list)  # one a query and round

    def point(self) -> Point:
        return Point(
            self.ef, self.recall, statistics.median(self.qps), statistics.median(self.micros)
        )


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
    """Every connection asks all queries, each beginning with another one."""
    lanes = {}
    for number, connection in enumerate(connections):
        first = number * len(searches.requests) // len(connections)
        requests = searches.requests[first:] + searches.requests[:first]
        lanes[connection.fileno()] = Lane(connection, requests, lines)
    own_start, start = time.process_time(), time.perf_counter()
    ask_all(lanes)
    seconds, own_seconds = time.perf_counter() - start, time.process_time() - own_start
    searches.qps.append(len(connections) * len(searches.requests) / seconds)
    searches.client_share.append(own_seconds / seconds)


def measure_latency(connection: socket.socket, searches: Searches, lines: int) -> None:
    for one in searches.requests:
        lane = Lane(connection, [one], lines)
        start = time.perf_counter()
        lane.send()
        while not lane.done:
            lane.receive()
        searches.micros.append(1e6 * (time.perf_counter() - start))


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


@contextmanager
def serving(
    args: argparse.Namespace, parts: Cut, truth: np.ndarray
) -> Iterator[tuple[list[Searches], Callable[[], None]]]:
    """A server with an index. Yields what it shows at each ef, and what adds a round to that."""
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

        def add_round() -> None:
            with pinned(args.client_core):
                for searches in prepared:
                    measure_throughput(connections, searches, lines)
                    measure_latency(connections[0], searches, lines)

        yield prepared, add_round


def print_table(in_process: Curve, served: Sequence[Searches]) -> None:
    print(f"{'':6}{'recall':>18}{'queries per second':>30}{'client':>8}{'p50, µs':>28}")
    print(
        f"{'ef':>6}{'in process':>11}{'served':>7}{'in process':>12}{'served':>9}{'ratio':>9}"
        f"{'share':>8}{'in process':>12}{'served':>8}{'added':>8}"
    )
    for own, searches in zip(in_process.points, served):
        point = searches.point()
        print(
            f"{own.ef:6}{own.recall:11.4f}{point.recall:7.4f}{own.qps:12,.0f}{point.qps:9,.0f}"
            f"{point.qps / own.qps:9.3f}{statistics.median(searches.client_share):8.0%}"
            f"{own.p50_us:12.1f}{point.p50_us:8.1f}{point.p50_us - own.p50_us:8.1f}"
        )


def results_of(in_process: Curve, served: Sequence[Searches]) -> list[dict[str, Any]]:
    """By ef, both sides and what the served one showed in each round."""
    return [
        {
            "in_process": asdict(own),
            "served": asdict(searches.point()),
            "served_qps_of_rounds": searches.qps,
            "client_share_of_rounds": searches.client_share,
        }
        for own, searches in zip(in_process.points, served)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.set_defaults(ef=EFS)
    parser.add_argument("--quant", choices=SYSTEMS, default="sq4", help="default sq4")
    parser.add_argument("--server", type=Path, default=ENGRAM, help="the server to run")
    parser.add_argument("--client-core", type=int, help="keep the client to it (default: to none)")
    args = parser.parse_args()

    parts = cut(load(args.dataset), args.queries, args.seed)
    truth = parts.truth(args.k)
    with serving(args, parts, truth) as (served, add_round):
        # Every ef counts here, however good the one before is.
        system = SYSTEMS[args.quant]
        in_process = run(args, [system], parts, truth, enough_recall=1, before_round=add_round)[0]

    print_table(in_process, served)
    own = in_process.qps_at(RECALL)
    other = Curve("served", {}, 0, [searches.point() for searches in served]).qps_at(RECALL)
    print(
        f"at recall {RECALL}: in process {own or '-'}, served {other or '-'}, "
        f"ratio {ratio(other, own)}"
    )
    facts = {**describe(args), "quant": args.quant, "rows": len(parts.rows)}
    at_recall = {
        "recall": RECALL,
        "in_process": own and asdict(own),
        "served": other and asdict(other),
    }
    path = write_results(
        args,
        f"serve-cost-{args.dataset}-{args.quant}",
        {**facts, "points": results_of(in_process, served), "at_recall": at_recall},
    )
    print(f"written: {path}")


if __name__ == "__main__":
    run_main(main)
