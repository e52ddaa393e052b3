#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does an index work whose vectors do not fit into memory? Builds one with ROWS disk in a server
that may use --limit MiB, page cache included, searches it, and starts the server again.

  sudo larger_than_memory.py                             # 4 GiB of vectors in 1 GiB of memory
  sudo larger_than_memory.py --gib 0.25 --limit 96
  sudo larger_than_memory.py --folder /var/tmp/large     # keeps the index, or has it from before
  sudo larger_than_memory.py --hnswlib                   # what becomes of hnswlib in the same group

Recall is of the exact neighbours; queries are drawn like rows and are none of them. The limit is a
control group (version 1 or 2) without swap, for which the script needs root. Cold: after a restart,
with the caches of the system dropped, while the server reads all of its snapshot to verify it; each
query is asked once. Warm: once that is done, asked a third time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import shlex
import time
from pathlib import Path
from typing import Iterator

import numpy as np

from client import Client
from common import UserError, environment, progress, run_main
from measure import write_results
from processes import ENGRAM, ServerProcess

BLOCK = 16_384  # rows that are drawn at once
ROWS_OF_CLUSTER = 1000
HIDDEN = 32  # dimensions of what rows are made of
SCALES = (1.0, 0.6, 0.4)  # of centres around those of the level above
SPREAD = 0.5  # of rows around their centre
FEATURES = 256
NOISE = 0.05
K = 10
INDEX = "large"


class ControlGroup:
    """Memory, page cache included, that one process may use."""

    def __init__(self, limit: int) -> None:
        root = Path("/sys/fs/cgroup")
        name = f"engram-experiment-{os.getpid()}"
        self.is_v1 = (root / "memory").is_dir()
        self.folder = (root / "memory" if self.is_v1 else root) / name
        try:
            self.folder.mkdir()
            self._file("limit_in_bytes", "max").write_text(str(limit))
        except OSError as error:
            raise UserError(f"cannot limit memory by a control group: {error}") from error

    def _file(self, v1: str, v2: str) -> Path:
        return self.folder / f"memory.{v1 if self.is_v1 else v2}"

    def peak(self) -> int:
        """Bytes; 0 where the system does not say."""
        file = self._file("max_usage_in_bytes", "peak")
        return int(file.read_text()) if file.exists() else 0

    def enter(self) -> None:
        """Of the process that calls it."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def command(self, words: list[str]) -> list[str]:
        """Runs `words` in this group."""
        enter = f"echo $$ > {shlex.quote(str(self.folder / 'cgroup.procs'))} && exec {shlex.join(words)}"
        return ["sh", "-c", enter + ' "$@"', "sh"]

    def remove(self) -> None:
        self.folder.rmdir()


class Rows:
    """Seeded rows, drawn block by block; the same again whenever they are asked for.

    Embeddings lie near a curved surface of few dimensions, on which clusters have clusters near them.
    So a row is a point of HIDDEN dimensions, whose place comes from three levels of centres, each
    around one of the level above; a layer of tanh with random weights bends that space into the rows',
    and noise fills the other dimensions. The intrinsic dimension that Levina and Bickel's estimate
    finds among 20 neighbours of 200,000 rows is 20. Centres drawn in all dimensions of a row would not do: in 384
    any two are equally far from each other, so that no walk is led from one cluster to the next, and
    no data have that.
    """

    def __init__(self, dim: int, count: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.dim, self.count, self.seed = dim, count, seed
        branches = max(round((count / ROWS_OF_CLUSTER) ** (1 / len(SCALES))), 2)
        self.centres = np.zeros((1, HIDDEN), np.float32)
        for scale in SCALES:
            self.centres = np.repeat(self.centres, branches, axis=0)
            self.centres += np.float32(scale) * rng.standard_normal(self.centres.shape, np.float32)
        self.into = rng.standard_normal((HIDDEN, FEATURES), np.float32) / np.float32(HIDDEN**0.5)
        self.shift = rng.uniform(-1, 1, FEATURES).astype(np.float32)
        self.out = rng.standard_normal((FEATURES, dim), np.float32) / np.float32(FEATURES**0.5)

    def draw(self, count: int, stream: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, stream))
        hidden = self.centres[rng.integers(0, len(self.centres), count)]
        hidden = hidden + np.float32(SPREAD) * rng.standard_normal(hidden.shape, np.float32)
        rows = np.tanh(hidden @ self.into + self.shift) @ self.out
        return rows + np.float32(NOISE) * rng.standard_normal(rows.shape, np.float32)

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        for block, begin in enumerate(range(0, self.count, BLOCK), start=1):
            yield begin, self.draw(min(BLOCK, self.count - begin), block)


class Nearest:
    """The K nearest rows of each query among those that were shown."""

    def __init__(self, queries: np.ndarray) -> None:
        self.queries = queries
        self.rows = np.empty((len(queries), 0), np.int64)
        self.scores = np.empty((len(queries), 0), np.float32)

    def show(self, begin: int, rows: np.ndarray) -> None:
        """Squared distances, but for the query's own norm."""
        scores = (rows * rows).sum(axis=1) - 2 * self.queries @ rows.T
        best = np.argpartition(scores, K, axis=1)[:, :K]
        self.rows = np.hstack([self.rows, best + begin])
        self.scores = np.hstack([self.scores, np.take_along_axis(scores, best, axis=1)])
        kept = np.argsort(self.scores, axis=1)[:, :K]
        self.rows = np.take_along_axis(self.rows, kept, axis=1)
        self.scores = np.take_along_axis(self.scores, kept, axis=1)


def build(client: Client, rows: Rows, args: argparse.Namespace) -> float:
    """Returns the seconds that the server took."""
    options = [("QUANT", args.quant), ("ROWS", "disk"), ("M", str(args.m))]
    options.append(("EF_CONSTRUCTION", str(args.ef_construction)))
    client.create(INDEX, args.dim, "l2", "hnsw", options)
    seconds = 0.0
    with progress(rows.count, "building", "vectors") as bar:
        for begin, block in rows.blocks():
            keys = [b"%d" % row for row in range(begin, begin + len(block))]
            began = time.monotonic()
            client.add(INDEX, keys, block)
            seconds += time.monotonic() - began
            bar.update(len(block))
    return seconds


def nearest_of(rows: Rows, queries: np.ndarray) -> np.ndarray:
    """Exact: [queries, K]."""
    nearest = Nearest(queries)
    with progress(rows.count, "looking for the true neighbours", "vectors") as bar:
        for begin, block in rows.blocks():
            nearest.show(begin, block)
            bar.update(len(block))
    return nearest.rows


def use_hnswlib(rows: Rows, args: argparse.Namespace, group: ControlGroup, added) -> None:
    """In a process of its own, which enters the group. What it needs of memory is the same however
    little it looks for neighbours, so it looks for few."""
    import hnswlib

    group.enter()
    index = hnswlib.Index("l2", args.dim)
    index.init_index(rows.count, M=args.m, ef_construction=args.m)
    for begin, block in rows.blocks():
        index.add_items(block)
        added.value = begin + len(block)


def try_hnswlib(rows: Rows, group: ControlGroup, args: argparse.Namespace) -> dict:
    """Says how it ended: -9 is the signal by which the system kills whoever is out of memory."""
    added = multiprocessing.Value("q", 0)
    process = multiprocessing.Process(target=use_hnswlib, args=(rows, args, group, added))
    process.start()
    process.join()
    print(f"hnswlib ended with {process.exitcode} after {added.value:,} of {rows.count:,} rows")
    return {"rows": rows.count, "hnswlib_exit": process.exitcode, "hnswlib_added": added.value}


def search(client: Client, queries: np.ndarray, nearest: np.ndarray, ef: int) -> tuple[float, np.ndarray]:
    """Recall, and the milliseconds of each query."""
    took, found = [], 0
    for query, best in zip(queries, nearest):
        began = time.monotonic()
        answer = client.search(INDEX, query.tobytes(), K, [("EF", str(ef))])
        took.append(1000 * (time.monotonic() - began))
        found += len(set(best.tolist()) & set(map(int, answer.keys)))
    return found / (K * len(queries)), np.array(took)


def memory_of(pid: int) -> dict[str, int]:
    """MiB, as the system counts them."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = {name: re.search(rf"{name}:\s+(\d+) kB", status) for name in ("VmHWM", "RssAnon")}
    return {name: int(match.group(1)) // 1024 for name, match in found.items() if match}


def save(client: Client) -> None:
    """Once a snapshot that has begun by itself has ended."""
    while int(client.redis.info("persistence")["rdb_bgsave_in_progress"]):
        time.sleep(0.1)
    client.redis.execute_command("SAVE")


def wait_until_verified(client: Client) -> None:
    """The snapshot, which is read from end to end meanwhile, through the memory that there is."""
    while client.redis.info("persistence")["snapshot_verification"] == "running":
        time.sleep(0.1)


def restart(server: ServerProcess, query: np.ndarray) -> float:
    """Seconds from the start of the process to the first answer."""
    server.stop()
    Path("/proc/sys/vm/drop_caches").write_text("3")
    began = time.monotonic()
    server.start().close()
    Client("127.0.0.1", server.port).search(INDEX, query.tobytes(), K, [])
    return time.monotonic() - began


def measure(server: ServerProcess, rows: Rows, group: ControlGroup, args: argparse.Namespace) -> dict:
    queries = rows.draw(args.queries, 0)
    nearest = nearest_of(rows, queries)
    server.start().close()
    client = Client("127.0.0.1", server.port)
    result: dict = {"rows": rows.count}
    if client.info(INDEX) is None:
        result["build_seconds"] = build(client, rows, args)
        print(f"built {rows.count:,} x {args.dim} in {result['build_seconds']:.0f} s, {memory_of(server.pid)} MiB")
        save(client)
    result["memory"] = memory_of(server.pid)
    held = int(client.info(INDEX)["size"])
    if held != rows.count:
        raise UserError(f"the index in {server.folder} has {held} rows, {rows.count} were expected")
    result["restart_seconds"] = restart(server, queries[0])
    print(f"restart to the first answer: {result['restart_seconds']:.2f} s")
    result["searches"] = []
    for ef in args.ef:
        restart(server, queries[0])  # what is mapped stays in the caches that are dropped
        client = Client("127.0.0.1", server.port)
        for state in ("cold", "again", "warm"):
            recall, took = search(client, queries, nearest, ef)
            wait_until_verified(client)
            p50, p99 = np.percentile(took, [50, 99])
            result["searches"].append({"ef": ef, "state": state, "recall": recall, "p50": p50, "p99": p99})
            print(f"EF {ef}, {state}: recall@{K} {recall:.3f}, p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    result["peak_group_mib"] = group.peak() >> 20
    result["memory_after"] = memory_of(server.pid)
    print(f"the group used at most {result['peak_group_mib']} MiB, the server {result['memory_after']} MiB")
    return result


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", type=Path, default=ENGRAM)
    parser.add_argument("--gib", type=float, default=4, help="of vectors")
    parser.add_argument("--limit", type=int, default=1024, help="MiB of memory")
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--quant", default="sq4")
    parser.add_argument("--m", type=int, default=8)
    parser.add_argument("--ef-construction", type=int, default=200)
    parser.add_argument("--ef", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--queries", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="keeps the index; has it, if it was built there before")
    parser.add_argument("--hnswlib", action="store_true", help="builds an index of hnswlib instead, as far as it gets")
    parser.add_argument("--output", type=Path, help="folder for the figures")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    rows = Rows(args.dim, int(args.gib * 2**30) // (4 * args.dim), args.seed)
    group = ControlGroup(args.limit << 20)
    try:
        if args.hnswlib:
            result = try_hnswlib(rows, group, args)
        else:
            if args.folder:
                args.folder.mkdir(parents=True, exist_ok=True)
            command = group.command([str(args.server), "serve", "--log-level", "warning"])
            with ServerProcess(command, args.folder) as server:
                result = measure(server, rows, group, args)
    finally:
        group.remove()
    print(write_results(args, "larger_than_memory", {"environment": environment(), **result}))


if __name__ == "__main__":
    run_main(main)
