# SPDX-License-Identifier: Apache-2.0
"""A collection of vectors under keys."""

from __future__ import annotations

import json
import os
from typing import Any, Iterator, Mapping, Optional, Sequence, Union, overload

import numpy as np
import numpy.typing as npt

from ._closing import Closing
from ._errors import Error, NotFound
from ._opened import open_store
from ._place import Place
from ._results import Consolidation, Fact, FloatArray, Group, Key, Keys, Neighbors, Path, Recollection, Strength, fact
from ._words import Attributes, Mask, Words, json_of, mask_text, words_of

Filter = Union[str, Attributes]


class Index(Closing):
    """Vectors under keys, and a retrieval primitive over them.

    ``Index(dim)`` makes one in memory that nobody else has. Those of a Store come from ``store.create()`` and
    ``store[name]``. Any thread may use an index; the interpreter's lock is free while the engine works.

    Keys are str or bytes and come back as str where their bytes are UTF-8. Arrays are float32 [dim] or [n, dim]; a
    C-contiguous one is used as it is, other numbers are converted. Distances are Euclidean for l2, 1 - cos for cosine,
    and the negative product for dot; smaller is closer. Times are milliseconds since 1970.

    Options of a primitive are given by name, as ``engram primitives`` lists them: ``ef_construction=400``.
    """

    def __init__(self, dim: int, metric: str = "cosine", primitive: str = "hnsw", **options: Any) -> None:
        """An empty index in memory.

        dim: 1 to 65,536. metric: cosine, l2 or dot. options: of the primitive (``m=16``), and ``decay=("exp", 60000)``
        with its companions where strengths are kept. Raises InvalidArgument.
        """
        place = open_store("", 0, "everysec")
        place.create("index", dim, words_of({"metric": metric, "primitive": primitive, **options}))
        self._place: Place = place
        self._name: Key = "index"
        self._where = "in memory"
        self._owns_place = True
        self._dim = dim

    @classmethod
    def _bind(cls, place: Place, name: Key, where: str, owns_place: bool = False) -> Index:
        """The collection ``name`` of a store. Raises NotFound."""
        index = cls.__new__(cls)
        index._place = place
        index._name = name
        index._where = where
        index._owns_place = owns_place
        index._dim = int(place.info(name)["vector-dim"])
        return index

    @classmethod
    def load(cls, path: Path) -> Index:
        """Opens what save() wrote. From then on changes are kept there, too; one process at a time has it open.

        Raises NotFound where ``path`` holds no index or several; DataLoss.
        """
        from ._store import Store  # which imports this module

        files = os.listdir(path) if os.path.isdir(path) else []
        if not any(file == "snapshot.engram" or file.startswith("journal-") for file in files):
            raise NotFound(f"{os.fspath(path)} holds no index")
        store = Store(path)
        names = list(store)
        if len(names) != 1:
            store.close()
            raise NotFound(f"expected one index in {path}, there are {len(names)}: Store(path) opens any number")
        return cls._bind(store._place, names[0], f"in {path}", owns_place=True)

    def save(self, path: Path) -> None:
        """Copies the whole store of this index to the directory ``path``, which is made, and holds no store yet.

        A server may open it as well as load() and Store(). Writes of other threads wait meanwhile where the store is in
        memory. Raises AlreadyExists, StorageError.
        """
        self._place.save(os.fspath(path))

    def close(self) -> None:
        """Frees an index of its own, and ends the use of its directory. One of a Store stays as it is."""
        if self._owns_place:
            self._place.close()

    @property
    def name(self) -> Key:
        return self._name

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def metric(self) -> str:
        return self._place.info(self._name)["metric"]

    @property
    def primitive(self) -> str:
        return self._place.info(self._name)["primitive"]

    def __len__(self) -> int:
        return self._place.size(self._name)

    def __contains__(self, key: Key) -> bool:
        return self._place.contains(self._name, key)

    def __iter__(self) -> Iterator[Key]:
        """The keys of this moment, ascending by their bytes."""
        return iter(self._place.keys(self._name))

    def keys(self) -> list[Key]:
        """All keys, ascending by their bytes."""
        return self._place.keys(self._name)

    def __repr__(self) -> str:
        try:
            facts = self._place.info(self._name)
        except Error as error:
            return f"<engramdb.Index {self._name!r}, {self._where}: {error}>"
        return (
            f"<engramdb.Index {self._name!r}: {facts['size']} x {self._dim}, {facts['metric']}, "
            f"{facts['primitive']}, {self._where}>"
        )

    # Items.

    def add(
        self,
        keys: Union[Key, Keys],
        vectors: npt.ArrayLike,
        *,
        attributes: Union[None, Attributes, Sequence[Optional[Attributes]]] = None,
        strength: Optional[float] = None,
        at: Optional[int] = None,
        half_life: Optional[int] = None,
    ) -> int:
        """Stores vectors, replacing those that keys had; all are checked before the first is stored.

        keys: one and a vector [dim], or n and an array [n, dim]. attributes: a dict for each key, or one for all; an empty
        one takes them away, None leaves them. strength, at, half_life (milliseconds): of an index with decay.
        Returns how many keys are new. Raises InvalidArgument, ResourceExhausted, ReadOnly.
        """
        listed = [keys] if isinstance(keys, (str, bytes)) else keys
        texts = None
        if attributes is not None:
            each = [attributes] * len(listed) if isinstance(attributes, Mapping) else attributes
            texts = [None if given is None else json_of(given) for given in each]
        words = words_of({"strength": strength, "at": at, "halflife": half_life})
        return self._place.put(self._name, listed, vectors, texts, words)

    def add_unless(
        self,
        key: Key,
        vector: npt.ArrayLike,
        within: float,
        *,
        attributes: Optional[Attributes] = None,
        strength: Optional[float] = None,
        at: Optional[int] = None,
        touch: Optional[float] = None,
    ) -> Optional[Key]:
        """Stores a vector [dim] unless something lies at most ``within`` away, in the metric.

        Returns the key of that, or None if the vector was stored. touch: the gain of what is near.
        """
        text = None if attributes is None else json_of(attributes)
        words = words_of({"strength": strength, "at": at, "touch": touch, "setattr": text})
        return self._place.put_unless(self._name, key, vector, within, words)

    @overload
    def get(self, keys: Union[str, bytes]) -> Optional[FloatArray]: ...
    @overload
    def get(self, keys: Keys) -> FloatArray: ...
    def get(self, keys: Union[Key, Keys]) -> Optional[FloatArray]:
        """The vector of a key, float32 [dim], or None; of n keys [n, dim], with NaN where there is no such key.

        Under cosine they have unit length; where only codes are kept they are what the codes stand for.
        """
        if isinstance(keys, (str, bytes)):
            rows, found = self._place.get(self._name, [keys])
            return rows[0] if found[0] else None
        rows, found = self._place.get(self._name, keys)
        rows[~np.array(found, dtype=bool)] = np.nan
        return rows

    def __getitem__(self, key: Key) -> FloatArray:
        """The vector of a key, float32 [dim]. Raises NotFound."""
        vector = self.get(key)
        if vector is None:
            raise NotFound(f"index {self._name!r} has no key {key!r}")
        return vector

    @overload
    def erase(self, keys: Union[str, bytes]) -> bool: ...
    @overload
    def erase(self, keys: Keys) -> int: ...
    def erase(self, keys: Union[Key, Keys]) -> Union[bool, int]:
        """Removes a key, and tells whether it was there; or several, and tells how many were."""
        if isinstance(keys, (str, bytes)):
            return self._place.erase(self._name, [keys]) == 1
        return self._place.erase(self._name, keys)

    def attributes(self, key: Key) -> Optional[dict[str, Any]]:
        """What is known of a key beside its vector; None if nothing is, or if it is not there."""
        text = self._place.attributes(self._name, key)
        found: Optional[dict[str, Any]] = None if text is None else json.loads(text)
        return found

    def set_attributes(self, key: Key, attributes: Optional[Attributes]) -> bool:
        """Gives a key attributes, or takes them away; False if it is not there."""
        return self._place.set_attributes(self._name, key, json_of(attributes))

    # Searching and recalling.

    def search(
        self,
        queries: npt.ArrayLike,
        k: int = 10,
        *,
        ef: Optional[int] = None,
        filter: Optional[Filter] = None,
        recall: Optional[float] = None,
        radius: Optional[float] = None,
        at: Optional[int] = None,
        touch: Optional[float] = None,
        **options: Any,
    ) -> Neighbors:
        """The k nearest to a query [dim], or to each of n queries [n, dim], which all workers share.

        ef: candidates that an approximate search keeps; recall: instead of it, the share of the true nearest that is
        wanted, above 0 and at most 1. filter: a condition on attributes, an expression or a dict (COMMANDS.md,
        "Filters"). radius: nothing farther. at, touch: of an index with decay, the time and the gain of what is answered.
        options: of the primitive's searches.

        Returns Neighbors(keys, distances): a list of m <= k keys and float32 [m]; of n queries lists of keys and
        float32 [n, m], filled up with None and NaN where a query found fewer. Raises InvalidArgument.
        """
        words: Words = []
        # To go through options takes a microsecond or two.
        is_plain = ef is None and filter is None and recall is None and radius is None and at is None and touch is None
        if options or not is_plain:
            words = words_of(
                {"ef": ef, "filter": filter, "recall": recall, "radius": radius, "at": at, "touch": touch, **options}
            )
        return Neighbors(*self._place.search(self._name, queries, k, words))

    def recall(
        self,
        cue: npt.ArrayLike,
        *,
        mask: Optional[Mask] = None,
        top: Optional[int] = None,
        filter: Optional[Filter] = None,
        at: Optional[int] = None,
        touch: Optional[float] = None,
        **options: Any,
    ) -> Recollection:
        """What the memory makes of a cue [dim], perhaps noisy or partly hidden.

        mask: the coordinates that are known, as booleans [dim], numbers counted from 0, a slice, or "0-391,400". top: how
        many items ``support`` names. options: of the primitive's recalls (beta, sep, steps ...). Raises Unsupported where
        the primitive does not recall, InvalidArgument.
        """
        known = None if mask is None else mask_text(mask, self._dim)
        words = words_of({"mask": known, "top": top, "filter": filter, "at": at, "touch": touch, **options})
        return Recollection(**self._place.recall(self._name, cue, words))

    def energy(
        self,
        state: npt.ArrayLike,
        *,
        filter: Optional[Filter] = None,
        at: Optional[int] = None,
        **options: Any,
    ) -> float:
        """The energy of a state [dim]: the lower, the better it fits what is held; infinite where it is not defined."""
        return self._place.energy(self._name, state, words_of({"filter": filter, "at": at, **options}))

    def tune(self, *, sample: Optional[int] = None, seed: Optional[int] = None, **options: Any) -> dict[str, float]:
        """Finds the numbers that the index recalls by in a sample of its items, and keeps them."""
        return self._place.tune(self._name, words_of({"sample": sample, "seed": seed, **options}))

    def diag(
        self,
        *,
        sample: Optional[int] = None,
        seed: Optional[int] = None,
        filter: Optional[Filter] = None,
        **options: Any,
    ) -> dict[str, Fact]:
        """Describes how the index recalls, by a sample of its items."""
        words = words_of({"sample": sample, "seed": seed, "filter": filter, **options})
        return {name: fact(text) for name, text in self._place.diagnose(self._name, words).items()}

    def info(self) -> dict[str, Fact]:
        """What there is to know of the index and its primitive: sizes in bytes, options, counts."""
        return {name: fact(text) for name, text in self._place.info(self._name).items()}

    # Strengths, of an index with decay.

    @overload
    def touch(
        self, keys: Union[str, bytes], *, gain: Optional[float] = ..., at: Optional[int] = ...
    ) -> Optional[float]: ...
    @overload
    def touch(
        self, keys: Keys, *, gain: Optional[float] = ..., at: Optional[int] = ...
    ) -> list[Optional[float]]: ...
    def touch(
        self, keys: Union[Key, Keys], *, gain: Optional[float] = None, at: Optional[int] = None
    ) -> Union[None, float, list[Optional[float]]]:
        """Adds ``gain`` (1) to the strength of keys, and returns what each has then; None where there is no such key."""
        words = words_of({"gain": gain, "at": at})
        if isinstance(keys, (str, bytes)):
            return self._place.touch(self._name, [keys], words)[0]
        return self._place.touch(self._name, keys, words)

    def strength(self, key: Key, *, at: Optional[int] = None) -> Optional[Strength]:
        """How strong a key is; None if it is not there."""
        found = self._place.strength(self._name, key, words_of({"at": at}))
        return None if found is None else Strength(**found)

    def forget(
        self, below: float, *, at: Optional[int] = None, limit: Optional[int] = None, dry_run: bool = False
    ) -> list[Key]:
        """Erases what is weaker than ``below``; returns the keys, the weakest first. dry_run: only tells."""
        return self._place.forget(self._name, below, words_of({"at": at, "limit": limit}), dry_run)

    def consolidate(self, radius: Optional[float] = None, *, dry_run: bool = False, **options: Any) -> Consolidation:
        """Makes one item of those that lie near each other: options as VCONSOLIDATE has them (method, keep, into ...).

        radius: Euclidean, whatever the metric. dry_run: only tells.
        """
        found = self._place.consolidate(self._name, words_of({"radius": radius, **options}), dry_run)
        groups = [Group(**group) for group in found.pop("groups")]
        return Consolidation(groups=groups, **found)
