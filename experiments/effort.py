#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does a search find what RECALL asks for? Starts a server of its own with an index of one dataset
for each QUANT, and asks it with RECALL for queries that are none of its rows.

  effort.py slice
  effort.py fashion-mnist-784 --quant f32 sq8 sq4

The index chooses the effort by a curve of its own, which it measures on its items when it is asked
first. Recall is of the exact neighbours in float64. Prints a table, and writes it as JSON: what was
asked for, what was found with a 95 % interval, and the effort, in microseconds of the server's
processor for each search and as EF.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from client import Client
from common import environment, run_main
from compare_graphs import Cut, cut
from datasets import Queries, load
from fading import cpu_seconds
from ground_truth import exact_neighbours
from measure import PIPELINE_DEPTH, write_results
from processes import ENGRAM, engram
from sources import SPECS

BELOW, ABOVE = 0.01, 0.03  # what found recall may differ from the target


@dataclass(frozen=True)
class Row:
    quant: str
    k: int
    target: float
    recall: float
    error: float  # half of the 95 % interval
    ef: str
    microseconds: float

    @property
    def is_met(self) -> bool:
        return self.target - BELOW <= self.recall <= self.target + ABOVE


def build(client: Client, index: str, parts: Cut, quant: str) -> None:
    options = ["METRIC", parts.metric, "PRIMITIVE", "hnsw", "QUANT", quant]
    client.redis.execute_command("VNEW", index, parts.rows.shape[1], *options)
    client.add(index, [str(row).encode() for row in range(len(parts.rows))], parts.rows, quant)


def shares_found(
    client: Client, index: str, parts: Cut, truth: np.ndarray, k: int, target: float
) -> np.ndarray:
    """Of the k nearest, by query."""
    answers = client.search_pipelined(
        index, parts.queries, k, [("RECALL", str(target))], PIPELINE_DEPTH
    )
    right = [set(rows) for rows in truth[:, :k].tolist()]
    return np.array([len(best & set(map(int, a.keys))) / k for a, best in zip(answers, right)])


def measure(pid: int, client: Client, parts: Cut, args: argparse.Namespace) -> list[Row]:
    queries = Queries(parts.queries, np.full(len(parts.queries), -1))
    truth = exact_neighbours(parts.rows, queries, max(args.k), parts.metric).rows
    rows = []
    for quant in args.quant:
        build(client, quant, parts, quant)
        began = time.monotonic()
        client.search(quant, parts.queries[0].tobytes(), 1, [("RECALL", "0.9")])
        print(f"{quant}: the curve took {time.monotonic() - began:.1f} s")
        info = client.info(quant) or {}
        for k in args.k:
            for target in args.recall:
                cpu = cpu_seconds(pid)
                found = shares_found(client, quant, parts, truth, k, target)
                cpu = cpu_seconds(pid) - cpu
                error = 1.96 * float(found.std()) / math.sqrt(len(found))
                ef = str(info.get(f"ef-for-recall-{target:g}", "")) if k == 10 else ""
                mean = float(found.mean())
                rows.append(Row(quant, k, target, mean, error, ef, 1e6 * cpu / len(found)))
        client.drop(quant)
    return rows


def table(rows: list[Row]) -> str:
    lines = [
        "| QUANT | k | RECALL | found | within | EF | µs |",
        "|---|--:|--:|--:|---|--:|--:|",
    ]
    for row in rows:
        lines.append(
            f"| {row.quant} | {row.k} | {row.target:g} | {row.recall:.4f} ± {row.error:.4f}"
            f" | {'yes' if row.is_met else 'no'} | {row.ef} | {row.microseconds:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=["slice", *SPECS])
    parser.add_argument("--server", type=Path, default=ENGRAM, help="the program to run")
    parser.add_argument("--quant", nargs="+", default=["f32", "sq8", "sq4"])
    parser.add_argument("--recall", type=float, nargs="+", default=[0.9, 0.95, 0.99])
    parser.add_argument("--queries", type=int, default=2000, help="unseen (default %(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="of queries")
    parser.add_argument("-k", type=int, nargs="+", default=[10], help="neighbours (default 10)")
    parser.add_argument("--output", type=Path, help="folder of the results (default: the cache's)")
    args = parser.parse_args()

    parts = cut(load(args.dataset), args.queries, args.seed)
    with engram(args.server, "--appendonly", "no") as server:
        server.start().close()
        rows = measure(server.pid, Client("127.0.0.1", server.port), parts, args)
    print(f"{args.dataset}: {len(parts.rows):,} rows\n\n{table(rows)}")
    facts: dict[str, Any] = {"environment": environment()}
    facts |= {name: getattr(args, name) for name in ("dataset", "quant", "recall", "queries", "k")}
    path = write_results(args, f"effort-{args.dataset}", {**facts, "rows": [asdict(r) for r in rows]})
    print(f"written: {path}")


if __name__ == "__main__":
    run_main(main)
