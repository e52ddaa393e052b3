# SPDX-License-Identifier: Apache-2.0
"""The bundled words, and exact answers about them computed by numpy."""

import numpy as np

import datasets
from live import SANITIZED

# A sanitizer makes building a graph some twenty times slower.
COUNT = 1_500 if SANITIZED else 10_000
BATCH = 250


class Words:
    """Keys and their vectors, with unit vectors in double precision for the exact answers."""

    def __init__(self, keys, vectors):
        self.keys = keys
        self.vectors = vectors
        self.row = {key: row for row, key in enumerate(keys)}
        self.dim = vectors.shape[1]
        wide = vectors.astype(np.float64)
        self.unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)

    def packed(self, row):
        return self.vectors[row].tobytes()

    def cosine_distances(self, row):
        return 1 - self.unit @ self.unit[row]

    def nearest(self, row, k):
        """The rows of the k nearest, closest first, the lower row first among equals."""
        return np.argsort(self.cosine_distances(row), kind="stable")[:k]


def load():
    data = datasets.load("slice")
    return Words(data.keys[:COUNT], np.ascontiguousarray(data.vectors[:COUNT]))


def fill(client, index, data, *options):
    """Makes an index and puts all words into it."""
    client.execute_command("VNEW", index, data.dim, *options)
    put(client, index, data, range(len(data.keys)))


def put(client, index, data, rows):
    rows = list(rows)
    pipeline = client.pipeline(transaction=False)
    for first in range(0, len(rows), BATCH):
        items = [
            part
            for row in rows[first : first + BATCH]
            for part in (data.keys[row], data.packed(row))
        ]
        pipeline.execute_command("VMADD", index, *items)
    return sum(pipeline.execute())


def search(client, index, query, k, *options):
    """Keys and distances, closest first."""
    reply = client.execute_command("VSEARCH", index, query, k, *options)
    return reply[::2], [float(distance) for distance in reply[1::2]]


def recall(client, index, data, rows, k, *options):
    """The share of the true k nearest, the queried word itself left out, that the index finds."""
    found = 0
    for row in rows:
        truth = {data.keys[other] for other in data.nearest(row, k + 1) if other != row}
        keys, _ = search(client, index, data.packed(row), k + 1, *options)
        found += len(truth & set(keys))
    return found / (k * len(rows))
