# SPDX-License-Identifier: Apache-2.0
"""The stores of this process, which are closed before the interpreter goes: their threads may be calling it."""

from __future__ import annotations

import atexit
import weakref

from ._engine import EngineStore
from ._errors import Error

_opened: weakref.WeakSet[EngineStore] = weakref.WeakSet()


def open_store(directory: str, workers: int, fsync: str) -> EngineStore:
    store = EngineStore(directory, workers, fsync)
    _opened.add(store)
    return store


@atexit.register
def close_stores() -> None:
    for store in list(_opened):
        try:
            store.close()
        except Error:
            pass  # there is nobody to be told; in a child of a process that forked nothing is open
