# SPDX-License-Identifier: Apache-2.0
"""engram in Python: an associative vector memory in this process, in a directory, or in a server.

>>> import engramdb, numpy as np
>>> index = engramdb.Index(3, metric="l2")
>>> index.add(["red", "blue"], np.eye(3, dtype=np.float32)[:2])
2
>>> index.search([1, 0, 0.5], k=1).keys
['red']
"""

from ._engine import Memory
from ._errors import (
    AlreadyExists,
    DataLoss,
    Disconnected,
    Error,
    InvalidArgument,
    NotFound,
    ReadOnly,
    ResourceExhausted,
    StorageError,
    Unsupported,
    WrongType,
)
from ._index import Index
from ._primitive import option, primitive
from ._results import Consolidation, Group, Key, Neighbors, Recollection, Strength
from ._serve import Server, serve
from ._store import Store, connect
from ._vector_db import VectorDB

__all__ = [
    "AlreadyExists",
    "Consolidation",
    "DataLoss",
    "Disconnected",
    "Error",
    "Group",
    "Index",
    "InvalidArgument",
    "Key",
    "Memory",
    "Neighbors",
    "NotFound",
    "ReadOnly",
    "Recollection",
    "ResourceExhausted",
    "Server",
    "StorageError",
    "Store",
    "Strength",
    "Unsupported",
    "VectorDB",
    "WrongType",
    "connect",
    "option",
    "primitive",
    "serve",
]
