#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does an index age? Deletes and adds again half of its keys, several times, and compares recall
and memory.

  churn.py glove-100 --rounds 5 --search EF=100

Each round draws a new random half. After the last round a fresh index is built from the same rows
and asked the same queries. The churned and the fresh index are dropped at the end; the flat one of
the ground truth stays. """

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from client import Client, Options, parse_option
from common import UserError, run_main
from measure import (
    Question,
    add_arguments,
    ask,
    describe,
    ensure_index,
    index_name,
    prepare,
    write_results,
)


@dataclass(frozen=True)
class Stage:
    """What was found after a round: recall at the fixed setting, and the server's own account of
    its memory."""

    name: str
    recall: float
    used_memory: int
    used_memory_rss: int
    index: dict[str, Any]


def observe(client: Client, index: str, question: Question, options: Options, name: str) -> Stage:
    memory = client.redis.info("memory")
    return Stage(
        name,
        ask(client, index, question, options),
        int(memory["used_memory"]),
        int(memory["used_memory_rss"]),
        client.info(index) or {},
    )


def replace_half(
    client: Client, index: str, question: Question, rng: np.random.Generator, name: str
) -> None:
    """Deletes a random half of the keys and adds them again, in another order."""
    data = question.data
    rows = rng.permutation(len(data.keys))[: len(data.keys) // 2]
    keys = [data.keys[row] for row in rows]
    deleted = client.delete(index, keys, f"{name}: deleting")
    if deleted != len(keys):
        raise UserError(
            f"{len(keys)} keys were deleted, but the server says that {deleted} existed"
        )
    again = rng.permutation(len(rows))
    client.add(
        index, [keys[place] for place in again], data.vectors[rows[again]], f"{name}: adding"
    )


def _build_anew(client: Client, index: str, question: Question, args: argparse.Namespace) -> None:
    ensure_index(
        client, index, question.data, question.metric, args.primitive, args.option, rebuild=True
    )


def print_table(stages: list[Stage], k: int) -> None:
    print(f"{'':>8}  {f'recall@{k}':>9}  {'index MB':>8}  {'used MB':>8}  {'rss MB':>8}")
    for stage in stages:
        print(
            f"{stage.name:>8}  {stage.recall:9.4f}  {_index_memory(stage) / 1e6:8.1f}  "
            f"{stage.used_memory / 1e6:8.1f}  {stage.used_memory_rss / 1e6:8.1f}"
        )
    aged, fresh = stages[-2], stages[-1]
    print(f"recall after churn minus fresh: {aged.recall - fresh.recall:+.4f}")
    print(
        f"memory after churn minus before: "
        f"index {(_index_memory(aged) - _index_memory(stages[0])) / 1e6:+.1f} MB, "
        f"server {(aged.used_memory - stages[0].used_memory) / 1e6:+.1f} MB"
    )


def _index_memory(stage: Stage) -> int:
    return int(stage.index["memory-bytes"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--search",
        type=parse_option,
        action="append",
        metavar="NAME=VALUE",
        help="the search options that stay fixed (default EF=100)",
    )
    args = parser.parse_args()
    search: Options = args.search or [("EF", "100")]

    client = Client(args.host, args.port)
    question = prepare(client, args)
    index = index_name(question.data, question.metric, args.primitive, args.option) + ":churn"
    rng = np.random.default_rng(args.seed)

    _build_anew(client, index, question, args)
    stages = [observe(client, index, question, search, "built")]
    for number in range(1, args.rounds + 1):
        replace_half(client, index, question, rng, f"round {number}")
        stages.append(observe(client, index, question, search, f"round {number}"))
    _build_anew(client, index, question, args)
    stages.append(observe(client, index, question, search, "fresh"))
    client.drop(index)

    print_table(stages, question.k)
    path = write_results(
        args,
        f"churn-{index.removesuffix(':churn')}",
        {
            **describe(args, question, client.server_info()),
            "search": dict(search),
            "stages": [asdict(stage) for stage in stages],
        },
    )
    print(f"written: {path}")


if __name__ == "__main__":
    run_main(main)
