# SPDX-License-Identifier: Apache-2.0
"""What the engine answers."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional, Union

import numpy as np
import numpy.typing as npt

Key = Union[str, bytes]
# Several; a str is a sequence of str, too, and is no several keys.
Keys = Union[list[str], list[bytes], list[Key], tuple[Key, ...], npt.NDArray[Any]]
Path = Union[str, "os.PathLike[str]"]
FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
Fact = Union[int, float, str]


class Neighbors(NamedTuple):
    """What a search found, closest first.

    Of one query, m <= k neighbours: ``keys`` is a list of m, ``distances`` float32 [m]. Of n queries ``keys`` is a list
    of n lists and ``distances`` float32 [n, m], where m <= k is the most that one of them found; the rows of the others
    are filled up with None and NaN.
    """

    keys: list[Any]
    distances: FloatArray


@dataclass(frozen=True)
class Recollection:
    """What a memory made of a cue."""

    state: FloatArray
    """[dim]: what the cue became."""
    attractor: Optional[Key]
    """The key with the greatest weight at the state; None if the memory abstained."""
    weight: float
    """Of the attractor, 0 to 1."""
    distance: Optional[float]
    """From the state to the attractor, in the metric."""
    onestep: Optional[Key]
    """The key with the greatest weight at the cue."""
    posterior: float
    """Its weight."""
    entropy: float
    """Of the weights at the cue, in nats."""
    kind: str
    """empty, pattern, emergent, global, metastable or mixed."""
    outside: bool
    """The cue lies where the energy is not defined."""
    effective_count: float
    """How many items the state is made of, 1 / sum p^2."""
    support: list[Key]
    """The keys that weigh most at the state, the heaviest first."""
    weights: DoubleArray
    """[len(support)]: what they weigh."""
    energies: DoubleArray
    """Of every state, from the cue's on; empty if the memory has no energy."""
    steps: int
    """Updates that were made."""
    converged: bool
    novel: Optional[bool]
    """The cue is unlike the items; None before tune()."""
    truncated: float
    """A bound of the weight that candidates left out."""
    exact: bool
    """That bound is certain."""
    beta: float
    """The inverse temperature that was used; 0 where there is none."""


@dataclass(frozen=True)
class Strength:
    """How strong an item is."""

    strength: float
    bias: float
    """What is added to the item's logit: 0 for the strongest, else less."""
    at_ms: Optional[int]
    """The time this is of, in milliseconds since 1970; None where strengths do not change with time."""
    is_pinned: bool
    half_life_ms: Optional[int]
    stability_ms: Optional[float]


@dataclass(frozen=True)
class Group:
    """Items that became one, or would."""

    key: Key
    strength: float
    """The sum of the members'."""
    radius: float
    """The most that a member has to the mean, or to the medoid."""
    variance: float
    members: list[Key]
    """The strongest first."""


@dataclass(frozen=True)
class Consolidation:
    """What consolidate() did."""

    items: int
    """How many there were."""
    members: int
    """Those that were in groups."""
    dropped: int
    """Groups that were left alone, because a member had changed."""
    beta: float
    lower: Optional[float]
    upper: Optional[float]
    """Bounds of what the energy of any state rises by: VCONSOLIDATE says in what units."""
    groups: list[Group]


def fact(text: str) -> Fact:
    """An integer or a float if it reads as one."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text
