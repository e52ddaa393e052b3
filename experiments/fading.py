#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What do strengths cost a search, and what do they take from its recall? Starts a server of its
own with three indexes of one dataset: one without DECAY, one whose items are equally strong, and
one whose strengths spread evenly over many half-lives, without regard to the vectors.

  fading.py slice
  fading.py glove-100 --queries 500 --rounds 5

Recall is of the exact ranking in float64, by effective distances where there are strengths. The
cost is the server's processor time, as a ratio to that of the index without DECAY at the same EF,
the median over rounds that take turns. The last column is what others do: the 100 nearest of the
index without DECAY at EF 200, ranked by effective distance afterwards. One worker inserts in
order, so the same arguments give the same graphs. Prints a table, and writes it as JSON.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Sequence

import numpy as np

from client import MAX_BATCH, Client
from common import add_rounds, environment, progress, run_main
from compare_graphs import Cut, cut
from datasets import load
from measure import PIPELINE_DEPTH, write_results
from processes import ENGRAM, engram
from sources import SPECS

HALF_LIFE_MS = 1_000_000
RESCORED = 100
RESCORED_EF = 200
BLOCK = 8_192
INDEXES = ("plain", "even", "faded")


@dataclass(frozen=True)
class Row:
    """One EF. Costs are ratios to the search without strengths."""

    ef: int
    plain_recall: float
    faded_recall: float
    even_cost: float
    faded_cost: float
    rescored_recall: float


# --- right answers --------------------------------------------------------------------------------


def effective_distances(parts: Cut, rows: slice, handicaps: np.ndarray, beta: float) -> np.ndarray:
    """From each query to some rows, in float64: [queries, rows]. handicaps: nats, of all rows."""
    base, asked = parts.rows[rows].astype(np.float64), parts.queries.astype(np.float64)
    if parts.metric == "cosine":
        return 1 - asked @ base.T + handicaps[rows] / beta
    squares = (asked**2).sum(axis=1)[:, None] + (base**2).sum(axis=1) - 2 * asked @ base.T
    return np.sqrt(np.maximum(squares, 0) + 2 * handicaps[rows] / beta)


def best_rows(parts: Cut, handicaps: np.ndarray, beta: float, k: int) -> list[set[int]]:
    best = np.full((len(parts.queries), k), np.inf)
    found = np.full((len(parts.queries), k), -1)
    with progress(len(parts.rows), "right answers", "rows") as bar:
        for start in range(0, len(parts.rows), BLOCK):
            block = effective_distances(parts, slice(start, start + BLOCK), handicaps, beta)
            distances = np.hstack([best, block])
            numbers = np.arange(start, start + block.shape[1])
            rows = np.hstack([found, np.broadcast_to(numbers, block.shape)])
            chosen = np.argpartition(distances, k - 1, axis=1)[:, :k]
            best = np.take_along_axis(distances, chosen, axis=1)
            found = np.take_along_axis(rows, chosen, axis=1)
            bar.update(block.shape[1])
    return [set(rows) for rows in found.tolist()]


def recall(found: Sequence[Sequence[int]], right: Sequence[set[int]], k: int) -> float:
    return sum(len(set(rows) & best) for rows, best in zip(found, right)) / (k * len(right))


# --- the server -----------------------------------------------------------------------------------


def build(client: Client, index: str, parts: Cut, quant: str, times: np.ndarray | None) -> None:
    """times: of each row, by which it is as strong as it is; None: without DECAY."""
    decay = [] if times is None else ["DECAY", "exp", HALF_LIFE_MS, "CLOCK", "logical"]
    options = ["METRIC", parts.metric, "PRIMITIVE", "hnsw", "QUANT", quant]
    dim = parts.rows.shape[1]
    client.redis.execute_command("VNEW", index, dim, *options, *decay)
    with progress(len(parts.rows), index, "vectors") as bar:
        for start in range(0, len(parts.rows), MAX_BATCH):
            pipeline = client.redis.pipeline(transaction=False)
            for row in range(start, min(start + MAX_BATCH, len(parts.rows))):
                at = [] if times is None else ["AT", int(times[row])]
                pipeline.execute_command("VADD", index, row, parts.rows[row].tobytes(), *at)
            bar.update(len(pipeline.execute()))


def search(client: Client, index: str, parts: Cut, k: int, ef: int) -> list[list[int]]:
    options = [("EF", str(ef))]
    answers = client.search_pipelined(index, parts.queries, k, options, PIPELINE_DEPTH)
    return [[int(key) for key in answer.keys] for answer in answers]


def cpu_seconds(pid: int) -> float:
    """Of all its threads, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def rescored(
    client: Client, parts: Cut, handicaps: np.ndarray, beta: float, k: int
) -> list[list[int]]:
    found = np.array(search(client, "plain", parts, RESCORED, RESCORED_EF))
    best = []
    for number, rows in enumerate(found):
        asked = Cut(parts.metric, parts.rows[rows], parts.queries[number : number + 1])
        distances = effective_distances(asked, slice(None), handicaps[rows], beta)[0]
        best.append(rows[np.argsort(distances, kind="stable")[:k]].tolist())
    return best


def measure(
    pid: int, client: Client, parts: Cut, args: argparse.Namespace
) -> tuple[float, list[Row]]:
    """The beta of the searches, and the rows."""
    ages = np.random.default_rng(args.seed).uniform(0, args.half_lives, len(parts.rows))
    last = int(args.half_lives * HALF_LIFE_MS)
    times = np.round(last - ages * HALF_LIFE_MS)
    build(client, "plain", parts, args.quant, None)
    build(client, "even", parts, args.quant, np.full(len(parts.rows), last))
    build(client, "faded", parts, args.quant, times)
    beta = client.tune("faded")["beta"]
    handicaps = np.log(2) * (times.max() - times) / HALF_LIFE_MS
    nearest = best_rows(parts, np.zeros(len(parts.rows)), beta, args.k)
    strongest = best_rows(parts, handicaps, beta, args.k)
    afterwards = recall(rescored(client, parts, handicaps, beta, args.k), strongest, args.k)
    rows = []
    for ef in args.ef:
        seconds: dict[str, list[float]] = {index: [] for index in INDEXES}
        found = {}
        for _ in range(args.rounds):
            for index in INDEXES:
                began = cpu_seconds(pid)
                found[index] = search(client, index, parts, args.k, ef)
                seconds[index].append(cpu_seconds(pid) - began)
        rows.append(
            Row(
                ef,
                recall(found["plain"], nearest, args.k),
                recall(found["faded"], strongest, args.k),
                _ratio(seconds["even"], seconds["plain"]),
                _ratio(seconds["faded"], seconds["plain"]),
                afterwards,
            )
        )
    return beta, rows


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, theirs))


def table(rows: Sequence[Row]) -> str:
    lines = [
        "| EF | recall, no decay | recall, decay | cost | cost, equal strengths"
        f" | recall, {RESCORED} rescored |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        lines.append(
            f"| {row.ef} | {row.plain_recall:.3f} | {row.faded_recall:.3f} | {row.faded_cost:.2f}"
            f" | {row.even_cost:.2f} | {row.rescored_recall:.3f} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=["slice", *SPECS])
    parser.add_argument("--server", type=Path, default=ENGRAM, help="the program to run")
    parser.add_argument("--quant", choices=["f32", "sq8", "sq4"], default="sq4")
    parser.add_argument("--half-lives", type=float, default=30, help="(default %(default)s)")
    parser.add_argument("--queries", type=int, default=500, help="unseen (default %(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="of queries and strengths")
    parser.add_argument("--ef", type=int, nargs="+", default=(50, 100, 200, 400))
    parser.add_argument("-k", type=int, default=10, help="neighbours per query (default 10)")
    parser.add_argument("--output", type=Path, help="folder of the results (default: the cache's)")
    add_rounds(parser, 5)
    args = parser.parse_args()

    parts = cut(load(args.dataset), args.queries, args.seed)
    with engram(args.server, "--workers", "1", "--appendonly", "no") as server:
        server.start().close()
        beta, rows = measure(server.pid, Client("127.0.0.1", server.port), parts, args)
    print(f"{args.dataset}: {len(parts.rows):,} rows, beta {beta:.1f}\n\n{table(rows)}")
    facts: dict[str, Any] = {"environment": environment(), "beta": beta}
    names = ("dataset", "quant", "half_lives", "queries", "seed", "ef", "k", "rounds")
    facts |= {name: getattr(args, name) for name in names}
    path = write_results(args, f"fading-{args.dataset}", {**facts, "rows": [asdict(r) for r in rows]})
    print(f"written: {path}")


if __name__ == "__main__":
    run_main(main)
