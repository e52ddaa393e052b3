#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Semantic search: a sentence is the mean of its words' vectors, rare words weighing more, and is found by what it is about.

  sentences.py "a small dog in the house"
  sentences.py --data glove-100 "financial crisis"      with all words of GloVe, not only the most frequent
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import engramdb
import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from datasets import Dataset, load  # noqa: E402

SENTENCES = (
    ("animals", "The cat slept on the warm roof all afternoon."),
    ("animals", "Two dogs chased a rabbit across the field."),
    ("animals", "Birds sing in the trees before the sun rises."),
    ("animals", "The farmer keeps horses and sheep."),
    ("music", "The band played old songs until midnight."),
    ("music", "She recorded an album of piano music."),
    ("music", "A young singer won the national prize."),
    ("money", "The bank raised interest rates again."),
    ("money", "Shares fell after the company reported a loss."),
    ("money", "The government will cut taxes next year."),
    ("war", "Soldiers crossed the border at night."),
    ("war", "The army attacked the city with heavy weapons."),
    ("war", "A peace agreement ended the long conflict."),
    ("food", "We cooked fish with rice and fresh vegetables."),
    ("food", "Bread, cheese and wine were on the table."),
    ("food", "The restaurant serves soup and hot chicken."),
    ("science", "Scientists measured the light of a distant star."),
    ("science", "The experiment confirmed the theory of physics."),
    ("science", "Researchers studied the cells of the human brain."),
    ("sport", "The team scored a goal in the last minute."),
    ("sport", "He won the final race of the season."),
    ("sport", "The coach praised his players after the match."),
)


class Words:
    """Vectors of words, which come in the order of their frequency."""

    def __init__(self, data: Dataset) -> None:
        self.vectors = data.vectors
        self.ranks = {word.decode(): rank for rank, word in enumerate(data.keys)}

    def vector(self, text: str) -> npt.NDArray[np.float32]:
        """[dim]. Word number n is met about once in n words, so it tells about log n."""
        known = [self.ranks[word] for word in re.findall("[a-z]+", text.lower()) if word in self.ranks]
        if not known:
            raise SystemExit(f"no word of {text!r} is known")
        weights = np.log1p(np.array(known, dtype=np.float32))
        mean: npt.NDArray[np.float32] = (weights[:, np.newaxis] * self.vectors[known]).sum(axis=0) / (weights.sum() + 1e-9)
        return mean


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("query", nargs="*", default=["a small dog in the house"])
    parser.add_argument("--data", default="slice", help="slice (10,000 words), or glove-100 once it was fetched")
    parser.add_argument("--k", type=int, default=3)
    parser.add_argument("--about", help="only sentences of this topic")
    given = parser.parse_args()
    words = Words(load(given.data))
    with engramdb.Index(words.vectors.shape[1], metric="cosine", primitive="flat") as index:
        texts = [text for _, text in SENTENCES]
        index.add(texts, np.stack([words.vector(text) for text in texts]), attributes=[{"about": topic} for topic, _ in SENTENCES])
        condition = None if given.about is None else f'.about == "{given.about}"'
        keys, distances = index.search(words.vector(" ".join(given.query)), given.k, filter=condition)
        for text, distance in zip(keys, distances):
            print(f"{distance:.3f}  {text}")


if __name__ == "__main__":
    main()
