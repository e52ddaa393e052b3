#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Asks a running server for the nearest neighbours of a stored key: neighbours.py --index words
king"""

from __future__ import annotations

import argparse

from client import Client, add_server_arguments, parse_option
from common import UserError, run_main


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("key")
    parser.add_argument("--index", default="words")
    parser.add_argument("-k", type=int, default=10, help="how many neighbours")
    parser.add_argument(
        "--option",
        type=parse_option,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of VSEARCH, such as EF=200; may be repeated",
    )
    add_server_arguments(parser)
    args = parser.parse_args()

    client = Client(args.host, args.port)
    query = client.get(args.index, args.key.encode())
    if query is None:
        raise UserError(f"{args.index} has no key {args.key!r}")
    answer = client.search(args.index, query, args.k + 1, args.option)
    others = [pair for pair in zip(answer.keys, answer.distances) if pair[0] != args.key.encode()]
    for key, distance in others[: args.k]:
        print(f"{distance:9.4f}  {key.decode()}")


if __name__ == "__main__":
    run_main(main)
