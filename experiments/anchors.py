#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Does engram show what the papers on associative memories say? Starts a server of its own, runs
the anchors, and writes a report.

  anchors.py
  anchors.py --only A1,A3
  anchors.py --quick

  A1  capacity and self-weight of random patterns      Lucibello & Mezard 2024
  A2  the error of one update, and a constant          Ramsauer et al. 2021
  A3  exact retrieval in one step                      Santos et al. 2024
  A4  exact memorisation                               Hoover et al. 2025
  A5  capacity of classical and polynomial memories    Amit et al. 1985; Krotov & Hopfield 2016
  A6  capacity of an exponential energy                Demircigil et al. 2017
  A7  which similarity tells spoilt images apart       Millidge et al. 2022
  A8  metastable states                                Santos et al. 2024
  A9  sparse distributed memory                        Kanerva 1988
  A11 dreaming keeps what is forgotten awake           Fachechi et al. 2019
  A12 need falls as a power of time                    Anderson & Schooler 1991
  A13 which policy of strength knows what is needed    on the same data
  A15 bounded synapses keep the newest items           Parisi 1986
  C1  spoilt cues: what is identified                  beside plain nearest neighbours
  C2  calibration, denoising, completion               beside neighbours and their means
  C3  a sum of random features                         beside the exact kernels
  C4  consolidation                                    beside random draws and k-means
  C5  the newest version first                         by half-life
  C6  an agent's notes                                 beside the ranking rules of such memories
  C7  recalls that strengthen                          by REINFORCE
  C8  near duplicates among words                      what consolidation groups

Writes report.md, report.json and a picture for each anchor. Every figure stands beside the one that
was expected and its tolerance, and what is outside is explained. Ends with 1 if a check did not
hold. --quick takes smaller samples. A4, A7, A8, C1 and C2 need the dataset fashion-mnist-784; with
--available they are left out where it is missing.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Callable

from claims import agent, binary, capacity, consolidation, cues, duplicates, exact_retrieval, features
from claims import learning, memorisation, metastable, need, one_step, posterior, reinforcement, sdm
from claims import similarity, versions
from claims.images import Images
from claims.memory import Bench, Memory
from claims.report import Claim, number, write_report
from common import UserError, cache_root, run_main
from processes import ENGRAM, engram

ANCHORS: dict[str, Callable[[Bench], Claim]] = {
    "A1": capacity.run,
    "A2": one_step.run,
    "A3": exact_retrieval.run,
    "A4": memorisation.run,
    "A5": binary.run_capacity,
    "A6": binary.run_exponential,
    "A7": similarity.run,
    "A8": metastable.run,
    "A9": sdm.run,
    "A11": learning.run_dreaming,
    "A12": need.run_odds,
    "A13": need.run_policies,
    "A15": learning.run_palimpsest,
    "C1": cues.run,
    "C2": posterior.run,
    "C3": features.run,
    "C4": consolidation.run,
    "C5": versions.run,
    "C6": agent.run,
    "C7": reinforcement.run,
    "C8": duplicates.run,
}
WITH_IMAGES = {"A4", "A7", "A8", "C1", "C2", "C4"}


def chosen(text: str | None) -> list[str]:
    """The names in a comma-separated list, in the order of the table; all if there is none."""
    if text is None:
        return list(ANCHORS)
    names = {name.strip().upper() for name in text.split(",")}
    if unknown := names - set(ANCHORS):
        raise UserError(f"no anchor {', '.join(sorted(unknown))}; there are {', '.join(ANCHORS)}")
    return [name for name in ANCHORS if name in names]


def measure(bench: Bench, names: list[str]) -> list[Claim]:
    claims = []
    for name in names:
        start = time.perf_counter()
        claim = ANCHORS[name](bench)
        claim.seconds = time.perf_counter() - start
        claims.append(claim)
        print_claim(claim)
    return claims


def print_claim(claim: Claim) -> None:
    verdict = claim.not_run or f"held {claim.score}"
    print(f"{claim.name}  {claim.title}: {verdict} ({claim.seconds:.0f} s)", flush=True)
    for check in claim.missed:
        print(
            f"    not held: {check.what}: {number(check.measured)}, expected {check.relation} "
            f"{number(check.expected)} ± {number(check.tolerance)}"
        )


def refuse_missed(claims: list[Claim], report: Path) -> None:
    """Ends the script with 1 if a check did not hold, a formula's as well as a measurement's."""
    if missed := [claim.name for claim in claims if claim.missed]:
        raise UserError(f"not all held of {', '.join(missed)}: {report} says what is known of it")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", metavar="NAMES", help="these anchors, separated by commas")
    parser.add_argument("--quick", action="store_true", help="smaller samples")
    parser.add_argument(
        "--available", action="store_true", help="leave out what needs a dataset that is missing"
    )
    parser.add_argument("--seed", type=int, default=42, help="of all that is drawn (default 42)")
    parser.add_argument("--server", type=Path, default=ENGRAM, help="the server to run")
    parser.add_argument("--output", type=Path, default=cache_root() / "results" / "anchors")
    args = parser.parse_args()

    names = chosen(args.only)
    if WITH_IMAGES & set(names):
        try:
            Images.read(1)  # says what is missing before anything runs
        except UserError as missing:
            if not args.available:
                raise
            names = [name for name in names if name not in WITH_IMAGES]
            print(f"only {', '.join(names)}: {missing}")
    with engram(args.server, "--appendonly", "no") as server:
        server.start().close()
        claims = measure(Bench(Memory(server.port), args.seed, args.quick), names)
    path = write_report(claims, args.output)
    print(f"written: {path}")
    refuse_missed(claims, path)


if __name__ == "__main__":
    run_main(main)
