# SPDX-License-Identifier: Apache-2.0
"""A store in a server, over RESP. Python talks to the server by Debian's python3-redis."""

from __future__ import annotations

import importlib
from typing import Any, Callable, Optional, Sequence

import numpy as np
import numpy.typing as npt

from . import _errors as errors
from ._results import FloatArray, Key, Keys
from ._words import Words

# What an error says where its prefix does not tell the class.
SENTENCES = (
    ("no such index", errors.NotFound),
    ("has no key", errors.NotFound),
    ("already exists", errors.AlreadyExists),
    ("holds a store already", errors.AlreadyExists),
    ("already in progress", errors.AlreadyExists),
    ("cannot recall", errors.Unsupported),
    ("in memory only", errors.Unsupported),
)
PREFIXES = (
    ("WRONGTYPE ", errors.WrongType),
    ("MISCONF ", errors.ReadOnly),
    ("OOM ", errors.ResourceExhausted),
)
# Words of an option that are several of a command.
SPREAD = {"DECAY"}
# In one command, or one pipeline.
MOST_ITEMS = 1024


def error_of(text: str) -> errors.Error:
    for prefix, kind in PREFIXES:
        if text.startswith(prefix):
            return kind(text[len(prefix) :])
    for sentence, kind in SENTENCES:
        if sentence in text:
            return kind(text)
    return errors.InvalidArgument(text)


def spread(words: Words) -> list[str]:
    """As a command has them."""
    said = []
    for name, text in words:
        said += [name, *(text.split() if name in SPREAD else [text])]
    return said


def key_of(raw: Any) -> Any:
    """None stays None."""
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def keys_of(raw: Sequence[bytes]) -> list[Key]:
    return [key_of(key) for key in raw]


def rows_of(array: npt.ArrayLike) -> FloatArray:
    """[dim] or [n, dim]. Raises InvalidArgument."""
    try:
        rows = np.ascontiguousarray(array, dtype=np.float32)
    except (TypeError, ValueError):
        raise errors.InvalidArgument("expected numbers, [dim] or [n, dim]") from None
    if np.ndim(array) not in (1, 2):
        raise errors.InvalidArgument(
            f"expected an array of 1 or 2 dimensions, [dim] or [n, dim], got one of {np.ndim(array)}"
        )
    if rows.shape[-1] == 0:
        raise errors.InvalidArgument("a vector has at least one dimension")
    return rows


def row_of(array: npt.ArrayLike) -> bytes:
    rows = rows_of(array)
    if rows.ndim != 1:
        raise errors.InvalidArgument(f"expected one vector, [dim], got an array of {rows.shape[0]} x {rows.shape[1]}")
    return rows.tobytes()


def checked_key(key: Any) -> Key:
    if isinstance(key, (str, bytes)):
        return key
    raise errors.InvalidArgument(f"a key is str or bytes, got {type(key)}")


def fields_of(reply: Sequence[Any]) -> dict[str, Any]:
    """A map of RESP2."""
    return {name.decode(): value for name, value in zip(reply[::2], reply[1::2])}


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def number(value: Any) -> Optional[float]:
    return None if value is None else float(value)


def neighbors_of(reply: Sequence[Any]) -> tuple[list[Key], list[float]]:
    return keys_of(reply[::2]), [float(distance) for distance in reply[1::2]]


class ServerStore:
    """A Place in a server. Any thread: each call takes a connection of a pool."""

    def __init__(self, host: str, port: int, password: Optional[str]) -> None:
        # Only who connects needs it. By name, for Debian's redis has no types, and its stubs need not be there.
        self._redis: Any = importlib.import_module("redis")
        self._client: Any = self._redis.Redis(host=host, port=port, password=password)
        self._ask("PING")

    def _guarded(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except (self._redis.ConnectionError, self._redis.TimeoutError) as error:
            raise errors.Disconnected(str(error)) from error
        except self._redis.ResponseError as error:
            raise error_of(str(error)) from None

    def _ask(self, *argv: Any) -> Any:
        return self._guarded(lambda: self._client.execute_command(*argv))

    def _ask_all(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """In pipelines, so that none has to wait for the one before."""

        def ask() -> list[Any]:
            replies: list[Any] = []
            for begin in range(0, len(commands), MOST_ITEMS):
                pipeline = self._client.pipeline(transaction=False)
                for argv in commands[begin : begin + MOST_ITEMS]:
                    pipeline.execute_command(*argv)
                replies += pipeline.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
            return replies

        found: list[Any] = self._guarded(ask)
        return found

    def close(self) -> None:
        self._client.close()

    def save(self, directory: str) -> None:
        self._ask("VSAVE", *(["TO", directory] if directory else []))

    def create(self, name: Key, dim: int, words: Words) -> None:
        self._ask("VNEW", name, dim, *spread(words))

    def drop(self, name: Key) -> None:
        if self._ask("VDROP", name) == 0:
            raise errors.NotFound(f"no such index {name!r}")

    def names(self) -> list[Key]:
        return keys_of(self._ask("VLIST"))

    def info(self, name: Key) -> dict[str, str]:
        reply = self._ask("VINFO", name)
        if reply is None:
            raise errors.NotFound(f"no such index {name!r}")
        return {field: text(value) for field, value in fields_of(reply).items()}

    def size(self, name: Key) -> int:
        return int(self.info(name)["size"])

    def contains(self, name: Key, key: Key) -> bool:
        found: bool = self._ask("VGET", name, checked_key(key)) is not None
        return found

    def keys(self, name: Key) -> list[Key]:
        self.info(name)
        return keys_of(self._ask("VRANGE", name, "-", "+"))

    def put(
        self,
        name: Key,
        keys: Keys,
        vectors: npt.ArrayLike,
        attributes: Optional[list[Optional[str]]],
        words: Words,
    ) -> int:
        rows = np.atleast_2d(rows_of(vectors))
        if attributes is not None and len(attributes) != len(keys):
            raise errors.InvalidArgument(f"expected attributes for each of {len(keys)} keys, got {len(attributes)}")
        if len(rows) != len(keys):
            raise errors.InvalidArgument(f"expected a vector for each of {len(keys)} keys, got {len(rows)}")
        items = [(checked_key(key), row.tobytes()) for key, row in zip(keys, rows)]
        if not items:
            self.info(name)
        if attributes is None and not words:
            parts = [items[begin : begin + MOST_ITEMS] for begin in range(0, len(items), MOST_ITEMS)]
            return sum(self._ask_all([("VMADD", name, *(word for item in part for word in item)) for part in parts]))
        said = spread(words)
        given = attributes or [None] * len(items)
        commands = [
            ("VADD", name, *item, *said, *([] if text is None else ["SETATTR", text])) for item, text in zip(items, given)
        ]
        return sum(self._ask_all(commands))

    def put_unless(self, name: Key, key: Key, vector: npt.ArrayLike, within: float, words: Words) -> Optional[Key]:
        said = [word for word in words if word[0] != "TOUCH"]
        touch = [word for word in words if word[0] == "TOUCH"]
        row = row_of(vector)
        reply = self._ask(
            "VADD", name, checked_key(key), row, *spread(said), "UNLESS", "WITHIN", repr(float(within)), *spread(touch)
        )
        return None if isinstance(reply, int) else key_of(reply)

    def erase(self, name: Key, keys: Keys) -> int:
        return sum(self._ask_all([("VDEL", name, checked_key(key)) for key in keys]))

    def get(self, name: Key, keys: Keys) -> tuple[FloatArray, list[bool]]:
        rows = np.zeros((len(keys), int(self.info(name)["vector-dim"])), dtype=np.float32)
        replies = self._ask_all([("VGET", name, checked_key(key)) for key in keys])
        for row, reply in zip(rows, replies):
            if reply is not None:
                row[:] = np.frombuffer(reply, dtype="<f4")
        return rows, [reply is not None for reply in replies]

    def attributes(self, name: Key, key: Key) -> Optional[str]:
        reply = self._ask("VGETATTR", name, checked_key(key))
        return None if reply is None else text(reply)

    def set_attributes(self, name: Key, key: Key, text: str) -> bool:
        return bool(self._ask("VSETATTR", name, checked_key(key), text))

    def touch(self, name: Key, keys: Keys, words: Words) -> list[Optional[float]]:
        named = [checked_key(key) for key in keys]
        return [number(reply) for reply in self._ask("VTOUCH", name, *named, *spread(words))]

    def strength(self, name: Key, key: Key, words: Words) -> Optional[dict[str, Any]]:
        reply = self._ask("VSTRENGTH", name, checked_key(key), *spread(words))
        if reply is None:
            return None
        fields = fields_of(reply)
        return {
            "strength": float(fields["strength"]),
            "bias": float(fields["bias"]),
            "at_ms": fields["at"],
            "is_pinned": bool(fields["pinned"]),
            "half_life_ms": fields.get("half-life-ms"),
            "stability_ms": number(fields.get("stability-ms")),
        }

    def forget(self, name: Key, below: float, words: Words, dry_run: bool) -> list[Key]:
        reply = self._ask("VFORGET", name, "BELOW", repr(float(below)), *spread(words), *(["DRYRUN"] if dry_run else []))
        return keys_of(reply)

    def consolidate(self, name: Key, words: Words, dry_run: bool) -> dict[str, Any]:
        reply = self._ask("VCONSOLIDATE", name, *spread(words), *(["DRYRUN"] if dry_run else []))
        fields = fields_of(reply)
        groups = [fields_of(prototype) for prototype in fields["prototypes"]]
        return {
            "items": fields["items"],
            "members": fields["members"],
            "dropped": fields["dropped"],
            "beta": float(fields["beta"]),
            "lower": number(fields["lower"]),
            "upper": number(fields["upper"]),
            "groups": [
                {
                    "key": key_of(group["key"]),
                    "strength": float(group["strength"]),
                    "radius": float(group["radius"]),
                    "variance": float(group["variance"]),
                    "members": keys_of(group["members"]),
                }
                for group in groups
            ],
        }

    def search(self, name: Key, queries: npt.ArrayLike, k: int, words: Words) -> tuple[list[Any], FloatArray]:
        rows = rows_of(queries)
        said = spread(words)
        if rows.ndim == 1:
            found, distances = neighbors_of(self._ask("VSEARCH", name, rows.tobytes(), k, *said))
            return found, np.array(distances, dtype=np.float32)
        if not len(rows):
            self.info(name)
        parts = [rows[begin : begin + MOST_ITEMS] for begin in range(0, len(rows), MOST_ITEMS)]
        replies = self._ask_all([("VMSEARCH", name, k, *said, *(row.tobytes() for row in part)) for part in parts])
        answers = [neighbors_of(answer) for reply in replies for answer in reply]
        width = max((len(found) for found, _ in answers), default=0)
        table = np.full((len(answers), width), np.nan, dtype=np.float32)
        for row, (_, distances) in zip(table, answers):
            row[: len(distances)] = distances
        return [found + [None] * (width - len(found)) for found, _ in answers], table

    def recall(self, name: Key, cue: npt.ArrayLike, words: Words) -> dict[str, Any]:
        row = row_of(cue)
        fields = fields_of(self._ask("VRECALL", name, "VEC", row, *spread(words), "WITHTRACE"))
        support = fields["support"]
        novel = fields["novel"]
        return {
            "state": np.frombuffer(fields["state"], dtype="<f4").copy(),
            "attractor": key_of(fields["attractor"]),
            "weight": float(fields["weight"]),
            "distance": number(fields["distance"]),
            "onestep": key_of(fields["onestep"]),
            "posterior": float(fields["posterior"]),
            "entropy": float(fields["entropy"]),
            "kind": text(fields["kind"]),
            "outside": bool(fields["outside"]),
            "effective_count": float(fields["neff"]),
            "support": keys_of(support[::2]),
            "weights": np.array([float(weight) for weight in support[1::2]], dtype=np.float64),
            "energies": np.array([float(energy) for energy in fields["energy"]], dtype=np.float64),
            "steps": fields["steps"],
            "converged": bool(fields["converged"]),
            "novel": None if novel is None else bool(novel),
            "truncated": float(fields["trunc"]),
            "exact": text(fields["cert"]) == "exact",
            "beta": float(fields["beta"]),
        }

    def energy(self, name: Key, state: npt.ArrayLike, words: Words) -> float:
        row = row_of(state)
        return float(self._ask("VENERGY", name, row, *spread(words)))

    def tune(self, name: Key, words: Words) -> dict[str, float]:
        return {field: float(value) for field, value in fields_of(self._ask("VTUNE", name, *spread(words))).items()}

    def diagnose(self, name: Key, words: Words) -> dict[str, str]:
        return {field: text(value) for field, value in fields_of(self._ask("VDIAG", name, *spread(words))).items()}
