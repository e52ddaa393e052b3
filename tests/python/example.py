# SPDX-License-Identifier: Apache-2.0
"""What a user writes first, with types; tests run it and check them.

  example.py FILE     FILE is made
"""

from __future__ import annotations

import sys

import engramdb
import numpy as np
import numpy.typing as npt

DIM = 32


def nearest(index: engramdb.Index, query: npt.NDArray[np.float32]) -> engramdb.Key:
    keys, distances = index.search(query, k=1)
    key: engramdb.Key = keys[0]
    assert distances.shape == (1,)
    return key


def main(path: str) -> None:
    rows = np.random.default_rng(1).standard_normal((1000, DIM)).astype(np.float32)
    rows.tofile(path)
    with engramdb.Store() as store:
        index = store.create("rows", DIM, metric="l2", primitive="flat")
        index.add([str(i) for i in range(len(rows))], rows, attributes={"of": "example"})
        assert nearest(index, rows[3]) == "3"
        found = index.recall(rows[3], mask=slice(0, DIM // 2), beta=2.0)
        assert found.attractor == "3", found
        assert float(np.abs(found.state - rows[3]).max()) < 0.1
    db = engramdb.VectorDB(path, DIM, M=16, ef_construction=200)
    db.build_index(0, 500)
    number, distance = db.search(rows[7], 3)[0]
    assert (number, round(distance, 3)) == (7, 0)


if __name__ == "__main__":
    main(sys.argv[1])
