#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What does associative recall cost, and what do candidates save?

  recall_cost.py glove-100
  recall_cost.py glove-100 --queries 100 --noise 0.5

Builds a hopfield index (one of that name that is complete stays), lets VTUNE find its beta, and
recalls noisy rows by one step each: once weighing all items (CAND scan), once those that a graph
finds (CAND graph), by turns on one connection. Prints the median time of either, the greatest bound
of the weight that was left out (trunc), and how far apart the states are. """

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from client import Client, add_server_arguments
from common import cache_root, environment, progress, run_main
from datasets import Dataset, load
from measure import ensure_index, index_name, write_results
from sources import SPECS

WAYS = ("scan", "graph")


@dataclass(frozen=True)
class Cost:
    """One way to choose the items that are weighed. `error` is the greatest distance to the state
    of the scan."""

    way: str
    p50_ms: float
    trunc: float
    error: float


def noisy_rows(data: Dataset, count: int, noise: float, seed: int) -> np.ndarray:
    """Rows of length one plus noise of that length in directions drawn by the seed; under other
    metrics than cosine the noise is in units of the mean length."""
    rng = np.random.default_rng(seed)
    rows = np.array(data.vectors[rng.choice(len(data.keys), count, replace=False)], np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    scale = 1.0
    if data.metric == "cosine":
        rows /= lengths
    else:
        scale = float(lengths.mean())
    directions = rng.standard_normal(rows.shape)
    directions *= noise * scale / np.linalg.norm(directions, axis=1, keepdims=True)
    return (rows + directions).astype(np.float32)


def measure(client: Client, index: str, cues: np.ndarray) -> list[Cost]:
    """Recalls every cue in each way."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    truncs: dict[str, list[float]] = {way: [] for way in WAYS}
    errors: dict[str, list[float]] = {way: [] for way in WAYS}
    with progress(len(cues), "recalling", "cues") as bar:
        for cue in cues:
            states = {}
            for way in WAYS:
                start = time.perf_counter()
                fields = client.recall(index, cue.tobytes(), [("STEPS", "1"), ("CAND", way)])
                seconds[way].append(time.perf_counter() - start)
                truncs[way].append(float(fields["trunc"]))
                states[way] = np.frombuffer(fields["state"], "<f4")
                errors[way].append(float(np.linalg.norm(states[way] - states["scan"])))
            bar.update()
    return [
        Cost(way, float(np.median(seconds[way])) * 1e3, max(truncs[way]), max(errors[way]))
        for way in WAYS
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=["slice", *SPECS])
    parser.add_argument("--queries", type=int, default=50, help="how many cues (default 50)")
    parser.add_argument("--noise", type=float, default=0.3, help="its length (default 0.3)")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--output", type=Path, default=cache_root() / "results")
    add_server_arguments(parser)
    args = parser.parse_args()

    client = Client(args.host, args.port)
    data = load(args.dataset)
    index = index_name(data, data.metric, "hopfield")
    ensure_index(client, index, data, data.metric, "hopfield")
    numbers = client.tune(index, [("SEED", str(args.seed))])
    costs = measure(client, index, noisy_rows(data, args.queries, args.noise, args.seed))

    print(f"{len(data.keys):,} items, beta {numbers['beta']:.4g} found by VTUNE")
    print(f"{'':8}{'p50 ms':>10}{'trunc':>12}{'error':>12}")
    for cost in costs:
        print(f"{cost.way:8}{cost.p50_ms:10.2f}{cost.trunc:12.2g}{cost.error:12.2g}")
    ratio = costs[0].p50_ms / costs[1].p50_ms
    print(f"candidates are {ratio:.1f} times as fast")
    results = {
        "environment": environment(),
        "dataset": data.name,
        "queries": args.queries,
        "noise": args.noise,
        "seed": args.seed,
        "tuning": numbers,
        "costs": [asdict(cost) for cost in costs],
        "ratio": ratio,
    }
    print(f"written: {write_results(args, f'recall-cost-{data.name}', results)}")


if __name__ == "__main__":
    run_main(main)
