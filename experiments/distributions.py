#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How much do graphs and codes find where data is hard? Starts a server of its own, builds hnsw
indexes of ten distributions (generators.py) with each QUANT, and compares what they answer with
exact neighbours in float64.

  distributions.py --peer
  distributions.py --only "heavy tails" --only "bias dimensions" --rows 50000

recall@k is of queries that are not in the index. An answer counts if it is no farther than the k-th
neighbour, within a relative 1e-6, so that one of several copies is as good as another. An item is
lost if a search for it with k = 1 and the default EF answers something farther than the nearest,
which is the item itself except under dot. With --peer hnswlib builds with the same M and
ef_construction beside engram. One worker inserts in order, so the same arguments give the same
graphs. Prints tables in Markdown, and writes them as JSON and as a plot.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from client import Client, Options
from common import UserError, environment, progress, require, run_main
from datasets import Queries
from generators import DISTRIBUTIONS, Sample, draw
from ground_truth import TIE_TOLERANCE, exact_neighbours
from measure import PIPELINE_DEPTH, write_results
from processes import ENGRAM, engram

QUANTS = ("f32", "sq8", "sq4")
EFS = (64, 200)
DEFAULT_EF = 64
ITEM_BLOCK = 1_000
PEER_SPACES = {"l2": "l2", "cosine": "cosine", "dot": "ip"}


@dataclass(frozen=True)
class Question:
    """A sample and its right answers: the distance of the k-th neighbour of each query, and of the
    nearest row of each row."""

    sample: Sample
    k: int
    kth: np.ndarray
    nearest: np.ndarray


@dataclass(frozen=True)
class Result:
    """What one system found of one distribution: recall by EF, and the items that it lost."""

    distribution: str
    system: str
    recall: dict[int, float]
    lost: int


# --- right answers --------------------------------------------------------------------------------


def question(sample: Sample, k: int) -> Question:
    nowhere = np.full(len(sample.queries), -1)
    truth = exact_neighbours(sample.rows, Queries(sample.queries, nowhere), k, sample.metric)
    kth = distances(sample, sample.queries, truth.rows)[:, -1]
    return Question(sample, k, kth, _nearest_of_rows(sample))


def _nearest_of_rows(sample: Sample) -> np.ndarray:
    if sample.metric != "dot":
        return np.zeros(len(sample.rows))
    wide = sample.rows.astype(np.float64)
    blocks = range(0, len(wide), ITEM_BLOCK)
    return np.concatenate([-(wide[i : i + ITEM_BLOCK] @ wide.T).max(axis=1) for i in blocks])


def distances(sample: Sample, queries: np.ndarray, found: np.ndarray) -> np.ndarray:
    """From each query to the rows found for it: [queries, k]. Component by component, because small
    distances are lost in differences of squared norms."""
    asked = queries.astype(np.float64)[:, None, :]
    rows = sample.rows.astype(np.float64)[found]
    if sample.metric == "l2":
        return np.linalg.norm(rows - asked, axis=2)
    if sample.metric == "dot":
        return -(rows * asked).sum(axis=2)
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    asked /= np.linalg.norm(asked, axis=2, keepdims=True)
    return ((rows - asked) ** 2).sum(axis=2) / 2


def recall(asked: Question, found: np.ndarray) -> float:
    """found: the rows answered, [queries, k]."""
    if any(len(set(rows)) < len(rows) for rows in found):
        raise UserError("an answer has the same row twice")
    measured = distances(asked.sample, asked.sample.queries, found)
    return float((measured <= _within_rounding(asked.kth)[:, None]).mean())


def lost(asked: Question, found: np.ndarray) -> int:
    """found: the row answered to each row, [rows]."""
    measured = distances(asked.sample, asked.sample.rows, found[:, None])[:, 0]
    return int((measured > _within_rounding(asked.nearest)).sum())


def _within_rounding(limit: np.ndarray) -> np.ndarray:
    return limit + TIE_TOLERANCE * np.abs(limit)


# --- systems --------------------------------------------------------------------------------------


def build(client: Client, index: str, sample: Sample, quant: str, options: Options = ()) -> None:
    """An index whose keys are the numbers of the rows."""
    options = [("QUANT", quant), *options]
    client.create(index, sample.rows.shape[1], sample.metric, "hnsw", options)
    client.add(index, [b"%d" % row for row in range(len(sample.rows))], sample.rows, index)


def search(client: Client, index: str, queries: np.ndarray, k: int, ef: int) -> np.ndarray:
    """The rows found, [queries, k]."""
    options = [("EF", str(ef))]
    answers = client.search_pipelined(index, queries, k, options, PIPELINE_DEPTH)
    return np.array([answer.keys for answer in answers]).astype(np.int64)


def search_items(client: Client, index: str, sample: Sample) -> np.ndarray:
    """The row found for each row."""
    answers = client.search_many(index, sample.rows, 1, f"{index}: items")
    return np.array([answer.keys[0] for answer in answers]).astype(np.int64)


def measure_engram(
    client: Client, name: str, asked: Question, quant: str, args: argparse.Namespace
) -> Result:
    index = f"{name}:{quant}"
    options = [("M", str(args.m)), ("EF_CONSTRUCTION", str(args.ef_construction))]
    build(client, index, asked.sample, quant, options)
    recalls = {
        ef: recall(asked, search(client, index, asked.sample.queries, asked.k, ef))
        for ef in args.ef
    }
    missing = lost(asked, search_items(client, index, asked.sample))
    client.drop(index)
    return Result(name, quant, recalls, missing)


def measure_hnswlib(name: str, asked: Question, args: argparse.Namespace) -> Result:
    hnswlib = require("hnswlib", "python3-hnswlib")
    rows = asked.sample.rows
    graph = hnswlib.Index(space=PEER_SPACES[asked.sample.metric], dim=rows.shape[1])
    graph.init_index(len(rows), M=args.m, ef_construction=args.ef_construction)
    graph.add_items(rows, num_threads=1)

    def found(queries: np.ndarray, k: int, ef: int) -> np.ndarray:
        graph.set_ef(ef)
        return graph.knn_query(queries, k=k, num_threads=1)[0].astype(np.int64)

    recalls = {ef: recall(asked, found(asked.sample.queries, asked.k, ef)) for ef in args.ef}
    return Result(name, "hnswlib", recalls, lost(asked, found(rows, 1, DEFAULT_EF)[:, 0]))


def measure(client: Client, args: argparse.Namespace) -> list[Result]:
    results = []
    names = args.only or list(DISTRIBUTIONS)
    with progress(len(names) * len(systems(args)), "distributions", "indexes") as bar:
        for name in names:
            asked = question(draw(name, args.rows, args.queries, args.seed), args.k)
            for system in systems(args):
                bar.set_postfix_str(f"{name}, {system}")
                if system == "hnswlib":
                    results.append(measure_hnswlib(name, asked, args))
                else:
                    results.append(measure_engram(client, name, asked, system, args))
                bar.update()
    return results


def systems(args: argparse.Namespace) -> list[str]:
    return [*QUANTS, *(["hnswlib"] if args.peer else [])]


# --- reports --------------------------------------------------------------------------------------


def tables(results: list[Result], efs: Sequence[int], k: int) -> str:
    """Recall by EF and system, and lost items by system."""
    names = list(dict.fromkeys(result.distribution for result in results))
    kinds = list(dict.fromkeys(result.system for result in results))
    by = {(result.distribution, result.system): result for result in results}
    lines = _head(f"recall@{k}", [f"EF {ef}: {kind}" for ef in efs for kind in kinds])
    for name in names:
        cells = [f"{by[name, kind].recall[ef]:.4f}" for ef in efs for kind in kinds]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", *_head("lost items", kinds)]
    for name in names:
        lines.append(f"| {name} | {' | '.join(str(by[name, kind].lost) for kind in kinds)} |")
    return "\n".join(lines)


def _head(title: str, columns: Sequence[str]) -> list[str]:
    return [f"| {title} | {' | '.join(columns)} |", f"|---|{'--:|' * len(columns)}"]


def plot(results: list[Result], facts: dict[str, Any], path: Path) -> None:
    """The share missed by distribution and system, a panel for each EF; what misses nothing stands
    at the left edge."""
    require("matplotlib", "python3-matplotlib").use("Agg")
    pyplot = require("matplotlib.pyplot", "python3-matplotlib")
    names = list(dict.fromkeys(result.distribution for result in results))
    kinds = list(dict.fromkeys(result.system for result in results))
    edge = 0.5 / (facts["queries"] * facts["k"])
    figure, panels = pyplot.subplots(
        1, len(facts["ef"]), figsize=(11, 5), sharex=True, sharey=True, squeeze=False
    )
    for axes, ef in zip(panels[0], facts["ef"]):
        for kind, marker in zip(kinds, "os^D"):
            of_kind = [result for result in results if result.system == kind]
            missed = [max(1 - result.recall[ef], edge) for result in of_kind]
            places = [names.index(result.distribution) for result in of_kind]
            axes.plot(missed, places, marker, markersize=6, alpha=0.7, label=kind)
        axes.set(title=f"EF {ef}", xscale="log")
        axes.set(xlabel=f"share of the {facts['k']} nearest that is missed; left edge: none")
        axes.grid(True, which="major", alpha=0.3)
    panels[0][0].set_yticks(range(len(names)), names)
    panels[0][0].invert_yaxis()
    panels[0][-1].legend()
    where = facts["environment"]
    figure.suptitle(
        f"{facts['rows']:,} rows, M {facts['m']}, ef_construction {facts['ef_construction']}"
    )
    figure.text(
        0.5,
        0.01,
        f"{facts['queries']} unseen queries, seed {facts['seed']}; {where['cpu']}; "
        f"commit {where['commit']}\n{where['command']}",
        ha="center",
        va="bottom",
        fontsize=7,
    )
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", type=Path, default=ENGRAM, help="the program to run")
    parser.add_argument("--peer", action="store_true", help="hnswlib, too (python3-hnswlib)")
    parser.add_argument(
        "--only",
        action="append",
        choices=DISTRIBUTIONS,
        metavar="NAME",
        help=f"may be repeated (default: all, which are {', '.join(DISTRIBUTIONS)})".replace("%", "%%"),
    )
    parser.add_argument("--rows", type=int, default=12_000, help="indexed (default %(default)s)")
    parser.add_argument("--queries", type=int, default=1000, help="(default %(default)s)")
    parser.add_argument("--seed", type=int, default=42, help="of the samples (default 42)")
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--ef-construction", type=int, default=200)
    parser.add_argument("--ef", type=int, nargs="+", default=EFS, help="of the searches")
    parser.add_argument("-k", type=int, default=10, help="neighbours per query (default 10)")
    parser.add_argument("--output", type=Path, help="folder of the results (default: the cache's)")
    args = parser.parse_args()

    with engram(args.server, "--workers", "1", "--appendonly", "no") as server:
        server.start().close()
        results = measure(Client("127.0.0.1", server.port), args)
    print(tables(results, args.ef, args.k))
    facts = describe(args)
    path = write_results(args, "distributions", {**facts, "results": [asdict(r) for r in results]})
    plot(results, facts, path.with_suffix(".png"))
    print(f"written: {path} and {path.with_suffix('.png').name}")


def describe(args: argparse.Namespace) -> dict[str, Any]:
    """What has to stand beside the figures."""
    names = ("rows", "queries", "seed", "m", "ef_construction", "ef", "k")
    return {"environment": environment(), **{name: getattr(args, name) for name in names}}


if __name__ == "__main__":
    run_main(main)
