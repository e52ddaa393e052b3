# SPDX-License-Identifier: Apache-2.0
"""Collections by name: in memory, in a directory, or in a server."""

from __future__ import annotations

import os
from typing import Any, Iterator, Optional

from ._closing import Closing
from ._errors import Error, NotFound
from ._index import Index
from ._opened import open_store
from ._place import Place
from ._results import Key, Path
from ._server import ServerStore
from ._words import words_of


class Store(Closing):
    """Collections by name.

    ``Store()`` is in memory. ``Store(path)`` keeps a journal and snapshots in that directory, which is made, as a server
    does with ``--dir``: either may open it after the other, one at a time. ``connect()`` is the same in a server. Any
    thread may use a store. A process that forks uses it in the parent alone.
    """

    def __init__(self, path: Optional[Path] = None, *, workers: int = 0, fsync: str = "everysec") -> None:
        """Has restored its data when it returns.

        workers: threads for searches and inserts, 0 for one for each core. fsync: when a change counts as kept, always,
        everysec or no. Raises AlreadyExists while another process has the directory open; DataLoss, StorageError.
        """
        if path is not None:
            path = os.fspath(path)
            os.makedirs(path, exist_ok=True)
        self._where = "in memory" if path is None else f"in {path}"
        self._place: Place = open_store(path or "", workers, fsync)

    @classmethod
    def _bind(cls, place: Place, where: str) -> Store:
        store = cls.__new__(cls)
        store._place = place
        store._where = where
        return store

    def create(self, name: Key, dim: int, metric: str = "cosine", primitive: str = "hnsw", **options: Any) -> Index:
        """Makes an empty collection; arguments as those of Index. Raises AlreadyExists, InvalidArgument."""
        self._place.create(name, dim, words_of({"metric": metric, "primitive": primitive, **options}))
        return self[name]

    def __getitem__(self, name: Key) -> Index:
        """Raises NotFound."""
        return Index._bind(self._place, name, self._where)

    def __delitem__(self, name: Key) -> None:
        """Removes a collection and all that it holds. Raises NotFound."""
        self._place.drop(name)

    def __contains__(self, name: Key) -> bool:
        try:
            self._place.size(name)
        except NotFound:
            return False
        return True

    def __iter__(self) -> Iterator[Key]:
        """The names of this moment, in order."""
        return iter(self._place.names())

    def __len__(self) -> int:
        return len(self._place.names())

    def save(self, path: Optional[Path] = None) -> None:
        """Takes a snapshot and returns when it is in its place; or copies the store to the directory ``path``, which is
        made, and holds no store yet. Raises Unsupported without ``path`` where all is in memory; AlreadyExists.
        """
        self._place.save("" if path is None else os.fspath(path))

    def close(self) -> None:
        """Returns when everything is on disk. Calls after it raise Unsupported; a second close() does nothing."""
        self._place.close()

    def __repr__(self) -> str:
        try:
            return f"<engramdb.Store {self._where}: {len(self)} collections>"
        except Error as error:
            return f"<engramdb.Store {self._where}: {error}>"


def connect(host: str = "127.0.0.1", port: int = 6379, *, password: Optional[str] = None) -> Store:
    """The store of a server, with the same classes. Raises Disconnected.

    What save(path) names is a directory of the server's machine.
    """
    return Store._bind(ServerStore(host, port, password), f"at {host}:{port}")
