# SPDX-License-Identifier: Apache-2.0
"""Engram's vector commands over redis-py, as the experiments use them."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, Mapping, Sequence

import numpy as np
import redis

from common import UserError, progress

DEFAULT_PORT = 6380
MAX_BATCH = 256
MAX_BATCH_BYTES = 1 << 20
PIPELINE_DEPTH = 8

Options = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """The reply to one search, closest first."""

    keys: list[bytes]
    distances: list[float]


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)


def parse_option(text: str) -> tuple[str, str]:
    """Reads NAME=VALUE, for argparse."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


class Client:
    """One connection to a running server."""

    def __init__(self, host: str, port: int) -> None:
        self.redis = redis.Redis(host=host, port=port)
        try:
            self.redis.ping()
        except redis.ConnectionError as error:
            raise UserError(
                f"no server answers at {host}:{port}; start one with `engram serve --port {port}`"
            ) from error

    def create(
        self, index: str, dim: int, metric: str, primitive: str, options: Options = ()
    ) -> None:
        self._call("VNEW", index, dim, "METRIC", metric, "PRIMITIVE", primitive, *_flatten(options))

    def drop(self, index: str) -> None:
        self._call("VDROP", index)

    def info(self, index: str) -> dict[str, Any] | None:
        """VINFO with text decoded, or None if there is no such index."""
        reply = self._call("VINFO", index)
        if reply is None:
            return None
        return {_text(name): _text(value) for name, value in zip(reply[::2], reply[1::2])}

    def server_info(self) -> Mapping[str, Any]:
        return self.redis.info()

    def add(
        self, index: str, keys: Sequence[bytes], vectors: np.ndarray, what: str = "loading"
    ) -> None:
        """Adds or overwrites rows by pipelined VMADD."""
        size = _batch_size(vectors)
        commands = (
            [
                "VMADD",
                index,
                *_interleave(keys[start : start + size], vectors[start : start + size]),
            ]
            for start in range(0, len(keys), size)
        )
        with progress(len(keys), what, "vectors") as bar:
            for command, _ in self._pipelined(commands):
                bar.update((len(command) - 2) // 2)

    def delete(self, index: str, keys: Sequence[bytes], what: str = "deleting") -> int:
        """Deletes keys by pipelined VDEL; returns how many there were."""
        deleted = 0
        with progress(len(keys), what, "vectors") as bar:
            for _, reply in self._pipelined(
                (["VDEL", index, key] for key in keys), depth=MAX_BATCH
            ):
                deleted += int(reply)
                bar.update()
        return deleted

    def get(self, index: str, key: bytes) -> bytes | None:
        """The packed vector of a key."""
        return self._call("VGET", index, key)

    def search(self, index: str, query: bytes, k: int, options: Options = ()) -> Answer:
        return _answer(self._call("VSEARCH", index, query, k, *_flatten(options)))

    def search_pipelined(
        self, index: str, queries: np.ndarray, k: int, options: Options, depth: int
    ) -> list[Answer]:
        """One VSEARCH per query, `depth` of them under way at a time."""
        tail = [k, *_flatten(options)]
        commands = (["VSEARCH", index, query.tobytes(), *tail] for query in queries)
        return [_answer(reply) for _, reply in self._pipelined(commands, depth)]

    def recall(self, index: str, cue: bytes, options: Options = ()) -> dict[str, Any]:
        """The fields of one VRECALL by a packed vector."""
        return _fields(self._call("VRECALL", index, "VEC", cue, *_flatten(options)))

    def recall_pipelined(
        self, index: str, cues: Iterable[tuple[str, bytes]], options: Options, depth: int
    ) -> Iterator[dict[str, Any]]:
        """One VRECALL per cue, which is ("VEC", packed vector) or ("KEY", key); the fields of each
        reply as they come."""
        tail = _flatten(options)
        commands = (["VRECALL", index, *cue, *tail] for cue in cues)
        for _, reply in self._pipelined(commands, depth):
            yield _fields(reply)

    def tune(self, index: str, options: Options = ()) -> dict[str, float]:
        """VTUNE: the numbers that were found."""
        return _numbers(self._call("VTUNE", index, *_flatten(options)))

    def diagnose(self, index: str, options: Options = ()) -> dict[str, float]:
        """VDIAG: what a survey saw."""
        return _numbers(self._call("VDIAG", index, *_flatten(options)))

    def consolidate(self, index: str, options: Options = ()) -> dict[str, Any]:
        """VCONSOLIDATE; `prototypes` are maps, too."""
        reply = _fields(self._call("VCONSOLIDATE", index, *_flatten(options)))
        reply["prototypes"] = [_fields(group) for group in reply["prototypes"]]
        return reply

    def mean_energy(self, index: str, states: np.ndarray, beta: float) -> float:
        """Of the states, by strengths themselves: VENERGY's are relative to the greatest, which the
        bias of any key tells."""
        energies = [float(self._call("VENERGY", index, np.asarray(q, "<f4").tobytes())) for q in states]
        [key] = self.search(index, np.asarray(states[0], "<f4").tobytes(), 1).keys
        strength = _fields(self._call("VSTRENGTH", index, key))
        greatest = np.log(float(strength["strength"])) - float(strength["bias"])
        return float(np.mean(energies) - greatest / beta)

    def primitives(self) -> list[str]:
        """The names of those that the server has."""
        described = (dict(zip(entry[::2], entry[1::2])) for entry in self._call("VPRIMITIVES"))
        return [_text(facts[b"name"]) for facts in described]

    def search_many(self, index: str, queries: np.ndarray, k: int, what: str) -> list[Answer]:
        """Batched searches by VMSEARCH."""
        size = _batch_size(queries)
        answers: list[Answer] = []
        with progress(len(queries), what, "queries") as bar:
            for start in range(0, len(queries), size):
                batch = [query.tobytes() for query in queries[start : start + size]]
                answers += [_answer(reply) for reply in self._call("VMSEARCH", index, k, *batch)]
                bar.update(len(batch))
        return answers

    def pipelined(
        self, commands: Iterable[Sequence[Any]], depth: int
    ) -> Iterator[tuple[Any, Any]]:
        """Any commands, `depth` of them under way at a time; each with its reply, in order."""
        return self._pipelined(commands, depth)

    def _call(self, *command: Any) -> Any:
        try:
            return self.redis.execute_command(*command)
        except redis.ResponseError as error:
            raise UserError(f"the server refused {command[0]}: {error}") from error

    def _pipelined(
        self, commands: Iterable[list], depth: int = PIPELINE_DEPTH
    ) -> Iterator[tuple[list, Any]]:
        """Sends commands in groups of `depth` and yields each with its reply, in order."""
        group: list[list] = []
        for command in commands:
            group.append(command)
            if len(group) == depth:
                yield from zip(group, self._round_trip(group))
                group = []
        if group:
            yield from zip(group, self._round_trip(group))

    def _round_trip(self, group: list[list]) -> list:
        pipeline = self.redis.pipeline(transaction=False)
        for command in group:
            pipeline.execute_command(*command)
        try:
            return pipeline.execute()
        except redis.ResponseError as error:
            raise UserError(f"the server refused {group[0][0]}: {error}") from error


def _fields(reply: list[Any]) -> dict[str, Any]:
    """A map as RESP2 has it, flat pairs, by names as text."""
    return {_text(name): value for name, value in zip(reply[::2], reply[1::2])}


def _numbers(reply: list[Any]) -> dict[str, float]:
    return {name: float(value) for name, value in _fields(reply).items()}


def _answer(reply: list) -> Answer:
    return Answer(reply[::2], [float(distance) for distance in reply[1::2]])


def _interleave(keys: Sequence[bytes], vectors: np.ndarray) -> Iterator[bytes]:
    for key, vector in zip(keys, np.asarray(vectors, dtype="<f4")):
        yield key
        yield vector.tobytes()


def _flatten(options: Options) -> list[str]:
    return [part for option in options for part in option]


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def _batch_size(vectors: np.ndarray) -> int:
    return max(1, min(MAX_BATCH, MAX_BATCH_BYTES // (4 * vectors.shape[1])))
