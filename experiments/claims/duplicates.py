# SPDX-License-Identifier: Apache-2.0
"""C8: of words with planted near duplicates, does consolidation group those and nothing else?"""

from __future__ import annotations

import numpy as np

from claims.memory import Bench
from claims.report import Check, Claim, Table
from common import cache_root

DATASET = "glove-100"
INDEX = "duplicates"
APART = 0.1  # of the length of a word
RADII = (0.105, 0.15)


def run(bench: Bench) -> Claim:
    count = bench.size(20_000, 4000)
    planted = count // 10
    claim = Claim(
        "C8",
        "near duplicates",
        "our own; Hartigan 1975 (leader), Fukunaga & Hostetler 1975 (mean shift)",
        f"{count} words of {DATASET}, of length one, and of each tenth, drawn at random, a second version {APART} away in a random "
        "direction. VCONSOLIDATE with DRYRUN. Precision: pairs within its groups that are versions of one word. Recall: planted "
        "pairs that are in one group.",
        bench.seed,
    )
    vectors = cache_root() / DATASET / "vectors.npy"
    claim.not_run = bench.lacks("flat") or ("" if vectors.exists() else f"{DATASET} is not there.")
    if claim.not_run:
        return claim
    rng = np.random.default_rng(bench.seed)
    words = _unit(np.load(vectors, mmap_mode="r")[:count].astype(np.float32))
    sources = rng.permutation(count)[:planted]
    versions = words[sources] + APART * _unit(rng.standard_normal((planted, words.shape[1])).astype(np.float32))
    source_of = np.concatenate([np.arange(count), sources])
    bench.memory.build(INDEX, np.concatenate([words, versions]), "cosine", "flat", ())
    rows = []
    for method in ("leader", "meanshift"):
        for radius in RADII:
            told = bench.memory.consolidate(INDEX, ("METHOD", method), ("RADIUS", radius), ("DRYRUN",))
            pairs = [
                source_of[a] == source_of[b]
                for members in told.members_of.values()
                for i, a in enumerate(members)
                for b in members[i + 1 :]
            ]
            rows.append((method, radius, told.groups, sum(pairs) / max(len(pairs), 1), sum(pairs) / planted))
    claim.tables.append(
        Table(f"{planted} duplicates among {count} words", ("method", "radius", "groups", "precision", "recall"), rows)
    )
    for method, radius, _, precision, recall in rows[::2]:
        claim.checks += [
            Check(f"precision of {method} at {radius}", 0.97, precision, 0, "at least"),
            Check(f"recall of {method} at {radius}", 0.99, recall, 0, "at least"),
        ]
    bench.memory.drop(INDEX)
    return claim


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
