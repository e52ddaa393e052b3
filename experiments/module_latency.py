#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long does a host of the module let others wait? Times PING, one after another, on one
connection, while another adds vectors at a steady rate, and while the host forks for BGSAVE.

  module_latency.py --module build/server/hosts/module/engram.so

Every time stands beside that of a PING to a redis-server that does nothing else: the two take turns,
so what the machine and its other programs delay is in both. Milliseconds."""

from __future__ import annotations

import argparse
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import redis

from client import Client
from common import environment, run_main
from processes import ServerProcess, redis_server
from datasets import load
from scatter_gather import encode, module_host

DIM = 100
INDEX = "words"
BEATS_PER_S = 1000
CONNECTIONS = 4  # that add, a vector at a time each


@dataclass
class Pings:
    """Seconds of each PING to the host, and to the server beside it."""

    host: list[float] = field(default_factory=list)
    beside: list[float] = field(default_factory=list)


def time_pings(host: redis.Redis, beside: redis.Redis, until: threading.Event) -> Pings:
    """PINGs at a steady beat, so that a long wait counts once and not less than its time."""
    found = Pings()
    beat = time.perf_counter()
    while not until.is_set():
        for server, into in ((host, found.host), (beside, found.beside)):
            began = time.perf_counter()
            server.ping()
            into.append(time.perf_counter() - began)
        beat = max(beat + 1 / BEATS_PER_S, time.perf_counter())
        time.sleep(max(0.0, beat - time.perf_counter()))
    return found


@contextmanager
def adding(
    port: int, megabytes_per_s: float, keys: Sequence[bytes], vectors: np.ndarray
) -> Iterator[list[int]]:
    """Adds vectors on a thread for as long as the context lasts; what it yields counts them. No
    connection has more than one under way: the host does at once what one has sent."""
    added = [0]
    over = threading.Event()

    def add() -> None:
        sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(CONNECTIONS)]
        beat = time.perf_counter()
        while not over.is_set():
            for i, connection in enumerate(sockets, added[0]):
                place = i % len(keys)
                command = encode("ENGRAM.VADD", INDEX, keys[place], vectors[place].tobytes())
                connection.sendall(command)
            for connection in sockets:
                connection.recv(64)
            added[0] += CONNECTIONS
            beat = max(beat + CONNECTIONS * 4 * DIM / (megabytes_per_s * 1e6), time.perf_counter())
            time.sleep(max(0.0, beat - time.perf_counter()))
        for connection in sockets:
            connection.close()

    thread = threading.Thread(target=add)
    thread.start()
    try:
        yield added
    finally:
        over.set()
        thread.join()


def show(what: str, found: Pings, note: str = "") -> None:
    cells = []
    for taken in (found.host, found.beside):
        p50, p99, p999 = np.percentile(taken, [50, 99, 99.9]) * 1e3
        cells.append(f"{p50:.3f} | {p99:.2f} | {p999:.2f} | {max(taken) * 1e3:.1f}")
    print(f"| {what} | {len(found.host):,} | {' | '.join(cells)} | {note} |", flush=True)


def save(client: redis.Redis) -> None:
    """BGSAVE from its beginning to its end."""
    client.execute_command("BGSAVE")
    while client.info("persistence")["rdb_bgsave_in_progress"]:
        time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--module", type=Path, required=True, help="engram.so")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--megabytes", type=float, default=1.0, help="of vectors a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--primitive", default="hnsw")
    parser.add_argument(
        "--realtime", action="store_true", help="run ahead of other programs on the machine"
    )
    args = parser.parse_args()
    if args.realtime:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    facts = environment()
    print(f"{facts['cpu']}, {facts['cpus']} cores, Linux {facts['kernel']}, {facts['commit']}")
    with module_host(args.module, args.workers) as host, redis_server() as beside:
        host.start().close()
        beside.start().close()
        measure(host, beside, args)


def measure(host: ServerProcess, beside: ServerProcess, args: argparse.Namespace) -> None:
    client = Client("127.0.0.1", host.port)
    data = load("glove-100")
    client.create(INDEX, DIM, data.metric, args.primitive)
    client.add(INDEX, data.keys[: args.rows], np.asarray(data.vectors[: args.rows]))
    keys, vectors = data.keys[args.rows :], np.asarray(data.vectors[args.rows :])
    idle = redis.Redis(port=beside.port)
    print(f"{args.rows:,} vectors of {DIM}, {args.primitive}; load of the machine {Path('/proc/loadavg').read_text().split()[0]}\n")
    print("| | PINGs | p50 | p99 | p99.9 | max | beside: p50 | p99 | p99.9 | max | |")
    print("|---|--:|" + "--:|" * 8 + "---|")

    def during(what: str, work: Callable[[], str | None]) -> None:
        over = threading.Event()
        result: list[str] = []

        def run() -> None:
            result.append(work() or "")
            over.set()

        worker = threading.Thread(target=run)
        worker.start()
        found = time_pings(client.redis, idle, over)
        worker.join()
        show(what, found, result[0])

    def wait() -> None:
        time.sleep(args.seconds)

    def add(work: Callable[[], object]) -> str:
        began = time.perf_counter()
        with adding(host.port, args.megabytes, keys, vectors) as count:
            work()
        return f"{count[0] * 4 * DIM / (time.perf_counter() - began) / 1e6:.2f} MB/s"

    def saves() -> str:
        other = redis.Redis(port=host.port)
        times = []
        ending = time.perf_counter() + args.seconds
        while not times or time.perf_counter() < ending:
            save(other)
            times.append(other.info("stats")["latest_fork_usec"] / 1e3)
        waited = other.info("engram_module")
        wait_ms = waited["engram_longest_fork_wait_us"] / 1e3
        return f"{len(times)} forks of {max(times):.1f} ms at most, workers waited for {wait_ms:.2f} ms"

    during("nothing", wait)
    during("VADD", lambda: add(wait))
    during("BGSAVE", saves)
    told: list[str] = []
    during("VADD and BGSAVE", lambda: add(lambda: told.append(saves())) + "; " + told[0])


if __name__ == "__main__":
    run_main(main)
