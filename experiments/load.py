#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Loads a dataset into a running server.

  load.py slice --index words
  load.py glove-100 --index words --primitive hnsw --option M=16 --option EF_CONSTRUCTION=200

A word is its own key; an image has its row number as key.
"""

from __future__ import annotations

import argparse
import time

from client import Client, Options, add_server_arguments, parse_option
from common import UserError, run_main
from datasets import Dataset, load
from sources import SPECS


def build(
    client: Client, index: str, data: Dataset, metric: str, primitive: str, options: Options = ()
) -> float:
    """Creates an index and fills it with a dataset; returns the seconds that adding took."""
    client.create(index, data.dim, metric, primitive, options)
    start = time.perf_counter()
    client.add(index, data.keys, data.vectors, f"loading {index}")
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", choices=["slice", *SPECS])
    parser.add_argument("--index", help="name of the index (default: the name of the dataset)")
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
    parser.add_argument("--replace", action="store_true", help="drop an index of that name first")
    add_server_arguments(parser)
    args = parser.parse_args()

    client = Client(args.host, args.port)
    data = load(args.dataset)
    index = args.index or args.dataset
    if client.info(index) is not None:
        if not args.replace:
            raise UserError(f"there is an index {index} already; give --replace to drop it first")
        client.drop(index)
    metric = args.metric or data.metric
    seconds = build(client, index, data, metric, args.primitive, args.option)
    print(
        f"{index}: {len(data.keys):,} vectors of {data.dim} dimensions, {metric}, "
        f"{args.primitive}, "
        f"in {seconds:.1f} s ({len(data.keys) / seconds:,.0f}/s)"
    )


if __name__ == "__main__":
    run_main(main)
