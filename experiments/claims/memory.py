# SPDX-License-Identifier: Apache-2.0
"""Indexes on a server whose keys are row numbers, and many recalls of them at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Iterator, Sequence

import numpy as np

from client import Client, Options
from common import progress

CONNECTIONS = 2
DEPTH = 16
COMMANDS_DEPTH = 512
ASSOCIATIVE = ("hopfield", "lsr")  # those that would build a graph


@dataclass(frozen=True)
class Recalls:
    """Replies to VRECALL as columns, one row per cue. Items are row numbers, -1 for none; a
    support is the items with the greatest weights and those weights."""

    states: np.ndarray
    attractors: np.ndarray
    weights: np.ndarray
    onestep: np.ndarray
    posteriors: np.ndarray
    entropies: np.ndarray
    kinds: list[str]
    outside: np.ndarray
    steps: np.ndarray
    supports: list[tuple[np.ndarray, np.ndarray]]
    energies: list[np.ndarray]

    def means(self, rows: np.ndarray) -> np.ndarray:
        """The weights of each support, applied to `rows` instead of to what is stored."""
        return np.array([weights @ rows[items] for items, weights in self.supports])


@dataclass(frozen=True)
class Consolidation:
    """The reply to VCONSOLIDATE; keys are row numbers."""

    groups: int
    members: int
    members_of: dict[int, list[int]]


@dataclass(frozen=True)
class Bench:
    """What an anchor runs on."""

    memory: Memory
    seed: int
    quick: bool

    def lacks(self, *primitives: str) -> str:
        """Why a claim about these cannot run; empty if it can."""
        missing = [name for name in primitives if not self.memory.has(name)]
        return f"this server has no primitive {' and no '.join(missing)}." if missing else ""

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full


class Memory:
    """A running server."""

    def __init__(self, port: int) -> None:
        self._clients = [Client("127.0.0.1", port) for _ in range(CONNECTIONS)]
        self._first = self._clients[0]
        self._indexes: set[str] = set()

    def has(self, primitive: str) -> bool:
        return primitive in self._first.primitives()

    def build(
        self,
        index: str,
        rows: np.ndarray,
        metric: str,
        primitive: str = "hopfield",
        options: Options | None = None,
    ) -> None:
        """Makes an index of `rows`, instead of one that has its name."""
        self.drop(index)
        if options is None:
            options = (("GRAPH", "none"),) if primitive in ASSOCIATIVE else ()
        self._first.create(index, rows.shape[1], metric, primitive, options)
        self._indexes.add(index)
        self.add(index, rows, 0)

    def make(self, index: str, dim: int, metric: str, primitive: str, *words: Any) -> None:
        """Makes an empty index, instead of one that has its name. `words` are those of VNEW."""
        self.drop(index)
        self._first.create(index, dim, metric, primitive, [words])
        self._indexes.add(index)

    def run(
        self, commands: Sequence[tuple[Any, ...]], what: str, depth: int = COMMANDS_DEPTH
    ) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """Each command with its reply, in order, on one connection."""
        with progress(len(commands), what, "commands") as bar:
            for command, reply in self._first.pipelined(commands, depth):
                yield command, reply
                bar.update()

    def add(self, index: str, rows: np.ndarray, first: int) -> None:
        """Adds rows whose keys count from `first`."""
        keys = [b"%d" % row for row in range(first, first + len(rows))]
        self._first.add(index, keys, rows, f"loading {index}")

    def add_rows(self, index: str, stored: np.ndarray, rows: np.ndarray) -> None:
        """Adds some rows of `stored`, whose keys are their numbers there."""
        keys = [b"%d" % row for row in rows]
        self._first.add(index, keys, stored[rows], f"loading {index}")

    def drop(self, *indexes: str) -> None:
        for index in self._indexes.intersection(indexes):
            self._first.drop(index)
            self._indexes.remove(index)

    def tune(self, index: str) -> float:
        """The beta that VTUNE finds."""
        return self._first.tune(index)["beta"]

    def info(self, index: str) -> dict[str, Any]:
        """VINFO."""
        return self._first.info(index) or {}

    def diagnose(self, index: str, **options: Any) -> dict[str, float]:
        """VDIAG; `options` are its own and those of VRECALL, in lower case."""
        pairs = [(name.upper(), str(value)) for name, value in options.items()]
        return self._first.diagnose(index, pairs)

    def consolidate(self, index: str, *options: tuple) -> Consolidation:
        """VCONSOLIDATE."""
        reply = self._first.consolidate(index, options)
        members_of = {int(group["key"]): [int(key) for key in group["members"]] for group in reply["prototypes"]}
        return Consolidation(reply["groups"], reply["members"], members_of)

    def mean_energy(self, index: str, states: np.ndarray, beta: float) -> float:
        """Of VENERGY, by strengths themselves: the server's are relative to the greatest."""
        return self._first.mean_energy(index, states, beta)

    def nearest_of_many(self, index: str, cues: np.ndarray) -> np.ndarray:
        """VMSEARCH: the item nearest to each of many cues, [cues]."""
        answers = self._first.search_many(index, cues, 1, "searching")
        return np.array([int(answer.keys[0]) for answer in answers])

    def nearest(self, index: str, cues: np.ndarray, k: int = 1) -> np.ndarray:
        """VSEARCH: the items nearest to each cue, [cues, k]."""
        answers = self._first.search_pipelined(index, _packed(cues), k, (), DEPTH)
        return np.array([[int(key) for key in answer.keys] for answer in answers])

    def recall(
        self,
        index: str,
        cues: np.ndarray | Sequence[int],
        what: str = "recalling",
        trace: bool = False,
        **options: Any,
    ) -> Recalls:
        """VRECALL by each cue: rows of an array are vectors, whole numbers are items. `options`
        are those of VRECALL, in lower case."""
        pairs: list[Any] = [(name.upper(), str(value)) for name, value in options.items()]
        if trace:
            pairs.append(("WITHTRACE",))
        words = list(_cues(cues))
        shares = [words[at :: len(self._clients)] for at in range(len(self._clients))]
        with progress(len(words), what, "recalls") as bar:

            def ask(client: Client, share: list[tuple[str, bytes]]) -> list[dict[str, Any]]:
                replies = []
                for reply in client.recall_pipelined(index, share, pairs, DEPTH):
                    replies.append(_compact(reply))
                    bar.update()
                return replies

            with ThreadPoolExecutor(len(shares)) as pool:
                parts = list(pool.map(ask, self._clients, shares))
        replies: list[dict[str, Any]] = [{}] * len(words)
        for at, part in enumerate(parts):
            replies[at :: len(parts)] = part
        return _columns(replies)


def _packed(cues: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(cues, dtype="<f4")


def _cues(cues: np.ndarray | Sequence[int]) -> Iterator[tuple[str, bytes]]:
    if isinstance(cues, np.ndarray) and cues.ndim == 2:
        yield from (("VEC", cue.tobytes()) for cue in _packed(cues))
    else:
        yield from (("KEY", b"%d" % item) for item in cues)


def _item(key: bytes | None) -> int:
    return -1 if key is None else int(key)


def _compact(reply: dict[str, Any]) -> dict[str, Any]:
    """Parses what would take much memory as it came."""
    support = reply["support"]
    return {
        **reply,
        "state": np.frombuffer(reply["state"], "<f4"),
        "support": (np.array(support[::2], int), np.array(support[1::2], float)),
        "energy": np.array(reply["energy"], float),
    }


def _columns(replies: list[dict[str, Any]]) -> Recalls:
    def floats(name: str) -> np.ndarray:
        return np.array([float(reply[name]) for reply in replies])

    return Recalls(
        states=np.array([reply["state"] for reply in replies]),
        attractors=np.array([_item(reply["attractor"]) for reply in replies]),
        weights=floats("weight"),
        onestep=np.array([_item(reply["onestep"]) for reply in replies]),
        posteriors=floats("posterior"),
        entropies=floats("entropy"),
        kinds=[reply["kind"].decode() for reply in replies],
        outside=floats("outside") != 0,
        steps=floats("steps").astype(int),
        supports=[reply["support"] for reply in replies],
        energies=[reply["energy"] for reply in replies],
    )
