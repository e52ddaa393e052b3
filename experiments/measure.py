# SPDX-License-Identifier: Apache-2.0
"""What recall.py and churn.py have in common: their arguments, the indexes they ask, and one
measured point."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

import numpy as np

from client import Answer, Client, Options, add_server_arguments, parse_option
from common import UserError, cache_root, environment
from datasets import Dataset, Queries, default_mode, load, sample_queries
from ground_truth import Neighbours, flat_truth
from load import build
from sources import SPECS

PIPELINE_DEPTH = 64


@dataclass(frozen=True)
class Question:
    """What is asked: a dataset, a metric, the queries, how many neighbours, and the right
    answers."""

    data: Dataset
    metric: str
    queries: Queries
    k: int
    truth: Neighbours


@dataclass(frozen=True)
class Point:
    """One measured setting. Latencies are of a single client that waits for each answer, so they
    include the client's own time; `qps` is of one connection with 64 searches under way."""

    setting: str
    recall: float
    p50_ms: float
    p99_ms: float
    qps: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", choices=["slice", *SPECS])
    parser.add_argument("--primitive", default="hnsw")
    parser.add_argument(
        "--metric",
        choices=["cosine", "l2", "dot"],
        help="default: the metric usual for the dataset",
    )
    parser.add_argument(
        "--option",
        type=parse_option,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the primitive; may be repeated",
    )
    parser.add_argument("--queries", type=int, default=1000, help="how many queries (default 1000)")
    parser.add_argument(
        "--mode",
        choices=["stored", "unseen"],
        help="stored: vectors of the dataset, the queried row not counted; unseen: the dataset's "
        "test vectors, else points between two rows (default: unseen if there are test vectors)",
    )
    parser.add_argument("-k", type=int, default=10, help="neighbours per query (default 10)")
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument(
        "--recompute",
        action="store_true",
        help="ask flat again instead of using cached ground truth",
    )
    parser.add_argument(
        "--output", type=Path, help="folder of the results (default: results/ in the dataset cache)"
    )
    add_server_arguments(parser)


def prepare(client: Client, args: argparse.Namespace, recompute: bool = False) -> Question:
    """Loads the dataset, draws the queries and takes the right answers from the cache or from a
    flat index."""
    data = load(args.dataset)
    metric = args.metric or data.metric
    queries = sample_queries(data, args.queries, args.seed, args.mode or default_mode(data))

    def flat_index() -> str:
        index = index_name(data, metric, "flat")
        ensure_index(client, index, data, metric, "flat")
        return index

    truth = flat_truth(
        client, flat_index, data, queries, args.k, metric, recompute or args.recompute
    )
    return Question(data, metric, queries, args.k, truth)


def index_name(data: Dataset, metric: str, primitive: str, options: Options = ()) -> str:
    """Says everything that the index was built with, so that a later run never takes one for
    another."""
    return ":".join([data.name, metric, primitive, *("=".join(option) for option in options)])


def ensure_index(
    client: Client,
    index: str,
    data: Dataset,
    metric: str,
    primitive: str,
    options: Options = (),
    rebuild: bool = False,
) -> float | None:
    """Builds an index, or leaves a complete one of that name as it is. Returns the seconds of
    building, or None."""
    info = client.info(index)
    if info is not None and rebuild:
        client.drop(index)
        info = None
    if info is None:
        return build(client, index, data, metric, primitive, options)
    if int(info["size"]) != len(data.keys) or int(info["vector-dim"]) != data.dim:
        raise UserError(
            f"the server holds an index {index} that is not all of {data.name}; "
            f"drop it with VDROP {index}"
        )
    return None


def measure(
    client: Client, index: str, question: Question, setting: str, options: Options
) -> Point:
    """Asks every query twice: one at a time for latency, then pipelined for throughput. Recall is
    of the first."""
    asked = _asked(question)
    answers, seconds = [], []
    for query in question.queries.vectors:
        packed = query.tobytes()
        start = time.perf_counter()
        answers.append(client.search(index, packed, asked, options))
        seconds.append(time.perf_counter() - start)
    start = time.perf_counter()
    client.search_pipelined(index, question.queries.vectors, asked, options, PIPELINE_DEPTH)
    qps = len(answers) / (time.perf_counter() - start)
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
    return Point(setting, recall(question, answers), float(p50), float(p99), qps)


def ask(client: Client, index: str, question: Question, options: Options) -> float:
    """The recall alone, without measuring time."""
    return recall(
        question,
        client.search_pipelined(
            index, question.queries.vectors, _asked(question), options, PIPELINE_DEPTH
        ),
    )


def recall(question: Question, answers: list[Answer]) -> float:
    """The share of the k true neighbours that were found, over all queries."""
    found = 0
    for answer, truth, source in zip(answers, question.truth.rows, question.queries.source_rows):
        own_key = question.data.keys[source] if source >= 0 else None
        others = [key for key in answer.keys if key != own_key][: question.k]
        found += len({question.data.keys[row] for row in truth}.intersection(others))
    return found / question.truth.rows.size


def _asked(question: Question) -> int:
    """One more than k where each query is itself a row, because that row does not count."""
    return question.k + int(question.queries.source_rows[0] >= 0)


def describe(
    args: argparse.Namespace, question: Question, server: Mapping[str, Any]
) -> dict[str, Any]:
    """What has to stand beside the figures."""
    return {
        "environment": environment(),
        "server": server,
        "dataset": question.data.name,
        "rows": len(question.data.keys),
        "dim": question.data.dim,
        "metric": question.metric,
        "primitive": args.primitive,
        "options": dict(args.option),
        "queries": len(question.queries.vectors),
        "mode": args.mode or default_mode(question.data),
        "k": question.k,
        "seed": args.seed,
    }


def write_results(args: argparse.Namespace, name: str, results: dict[str, Any]) -> Path:
    """Writes the figures as JSON; returns the path, beside which a plot may be put."""
    folder = args.output or cache_root() / "results"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name.replace(':', '-')}.json"
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return path
