#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What do many small indexes cost? Starts a server of its own, fills it with indexes of a few random
vectors each, and measures memory, VSAVE, VLIST, searches, and the start from the snapshot.

  small_indexes.py
  small_indexes.py --indexes 10000 --vectors 100 --dim 64 --primitive flat

Bytes are those that the server added to its resident set, per index. A search asks one index, drawn
at random, for its ten nearest; one client waits for each answer, so its own time is included. The
start lasts until a search is answered. Every index is asked for one of its own vectors afterwards.
Prints a table, and writes it as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import redis

from common import UserError, environment, run_main
from processes import ENGRAM, ServerProcess, engram

BATCH = 500  # commands in one pipeline


@dataclass
class Costs:
    """Seconds, unless the name says otherwise."""

    fill: float
    resident_bytes: int
    bytes_per_index: int
    mappings: int
    save: float
    file_bytes: int
    list: float
    search_p50_ms: float
    search_p99_ms: float
    search_beside_save_p99_ms: float
    start: float
    resident_bytes_started: int
    mappings_started: int


def batches(count: int) -> Iterator[range]:
    for begin in range(0, count, BATCH):
        yield range(begin, min(begin + BATCH, count))


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def resident(pid: int) -> int:
    """Bytes in memory now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise UserError(f"process {pid} has no resident set")


def mappings(pid: int) -> int:
    return len(Path(f"/proc/{pid}/maps").read_text().splitlines())


def fill(client: redis.Redis, args: argparse.Namespace, vectors: np.ndarray) -> None:
    pipeline = client.pipeline(transaction=False)
    for batch in batches(args.indexes):
        for index in batch:
            options = ["METRIC", "l2", "PRIMITIVE", args.primitive]
            pipeline.execute_command("VNEW", f"i{index}", args.dim, *options)
            items: list[object] = []
            for number in range(args.vectors):
                items += [f"k{number}", vectors[(index + number) % len(vectors)].tobytes()]
            pipeline.execute_command("VMADD", f"i{index}", *items)
        pipeline.execute()


def search_ms(client: redis.Redis, args: argparse.Namespace, rng: np.random.Generator) -> list[float]:
    times = []
    for index in rng.integers(args.indexes, size=args.searches):
        query = rng.normal(size=args.dim).astype("<f4").tobytes()
        name = f"i{index}"
        times.append(1e3 * seconds(lambda: client.execute_command("VSEARCH", name, query, 10)))
    return times


def search_beside_save(client: redis.Redis, args: argparse.Namespace, rng: np.random.Generator,
                       port: int) -> tuple[float, list[float]]:
    """The seconds of a VSAVE, and the milliseconds of searches meanwhile."""
    times: list[float] = []
    args = argparse.Namespace(**{**vars(args), "searches": 20})
    with redis.Redis(port=port) as saver:
        connection = saver.connection_pool.get_connection("VSAVE")
        start = time.perf_counter()
        connection.send_command("VSAVE")
        while not connection.can_read(timeout=0):
            times += search_ms(client, args, rng)
        connection.read_response()
        return time.perf_counter() - start, times


def check(client: redis.Redis, args: argparse.Namespace, vectors: np.ndarray) -> None:
    """Every index still finds its own."""
    pipeline = client.pipeline(transaction=False)
    for batch in batches(args.indexes):
        for index in batch:
            query = vectors[index % len(vectors)].tobytes()
            pipeline.execute_command("VSEARCH", f"i{index}", query, 1)
        for index, found in zip(batch, pipeline.execute()):
            if bytes(found[0]) != b"k0":
                raise UserError(f"index i{index} does not find its own vector, but {found!r}")


def measure(server: ServerProcess, args: argparse.Namespace) -> Costs:
    rng = np.random.default_rng(args.seed)
    vectors = rng.normal(size=(10_007, args.dim)).astype("<f4")
    server.start().close()
    client = redis.Redis(port=server.port)
    client.ping()
    empty = resident(server.pid)
    fill_seconds = seconds(lambda: fill(client, args, vectors))
    full, held = resident(server.pid), mappings(server.pid)
    listed = seconds(lambda: client.execute_command("VLIST"))
    searches = search_ms(client, args, rng)
    saved, beside = search_beside_save(client, args, rng, server.port)
    client.close()
    server.stop()
    file_bytes = (server.folder / "snapshot.engram").stat().st_size

    def start() -> None:
        server.start().close()
        with redis.Redis(port=server.port) as first:
            first.execute_command("VSEARCH", "i0", vectors[0].tobytes(), 1)

    start_seconds = seconds(start)
    with redis.Redis(port=server.port) as again:
        started, held_started = resident(server.pid), mappings(server.pid)
        check(again, args, vectors)
    return Costs(
        fill=fill_seconds,
        resident_bytes=full,
        bytes_per_index=(full - empty) // args.indexes,
        mappings=held,
        save=saved,
        file_bytes=file_bytes,
        list=listed,
        search_p50_ms=float(np.percentile(searches, 50)),
        search_p99_ms=float(np.percentile(searches, 99)),
        search_beside_save_p99_ms=float(np.percentile(beside or searches, 99)),
        start=start_seconds,
        resident_bytes_started=started,
        mappings_started=held_started,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", type=Path, default=ENGRAM, help="the program to run")
    parser.add_argument("--indexes", type=int, default=100_000)
    parser.add_argument("--vectors", type=int, default=10, help="in each index")
    parser.add_argument("--dim", type=int, default=16)
    parser.add_argument("--primitive", default="hnsw")
    parser.add_argument("--searches", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, help="where to write the JSON")
    args = parser.parse_args()

    with engram(args.server, "--fsync", "no") as server:
        costs = measure(server, args)
    facts = environment()
    print(f"{facts['cpu']}, {facts['cpus']} cores, Linux {facts['kernel']}, {facts['commit']}")
    print(f"{args.indexes:,} {args.primitive} indexes of {args.vectors} {args.dim}-d vectors")
    for name, value in asdict(costs).items():
        print(f"{name:28} {value:>16,.3f}" if isinstance(value, float) else f"{name:28} {value:>12,}")
    if args.output is not None:
        args.output.write_text(json.dumps({"costs": asdict(costs), **facts}, indent=2) + "\n")


if __name__ == "__main__":
    run_main(main)
