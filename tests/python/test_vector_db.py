# SPDX-License-Identifier: Apache-2.0
import engramdb
import numpy as np
import pytest


@pytest.fixture
def rows(tmp_path):
    made = np.random.default_rng(5).standard_normal((500, 16)).astype(np.float32)
    made.tofile(tmp_path / "rows.bin")
    return made


def test_rows_of_a_file_are_found_by_their_numbers(tmp_path, rows):
    db = engramdb.VectorDB(tmp_path / "rows.bin", 16, M=12, ef_construction=100)
    assert db.search(rows[7], 3) == []
    db.build_index(100, 300)
    assert len(db) == 200
    found = db.search(rows[200], 3, ef=200)
    assert len(found) == 3
    assert found[0] == (200, pytest.approx(0, abs=1e-5))
    assert all(100 <= number < 300 for number, _ in found)
    db.build_index()
    assert db.search(rows[7], 1)[0][0] == 7
    assert (np.fromfile(tmp_path / "rows.bin", dtype=np.float32).reshape(rows.shape) == rows).all()


def test_what_is_not_in_the_file_is_refused(tmp_path, rows):
    with pytest.raises(engramdb.InvalidArgument, match="no whole number of rows of 17"):
        engramdb.VectorDB(tmp_path / "rows.bin", 17)
    db = engramdb.VectorDB(tmp_path / "rows.bin", 16)
    for begin, end in ((0, 501), (-1, 3), (5, 4)):
        with pytest.raises(engramdb.InvalidArgument, match="are not among the 500"):
            db.build_index(begin, end)
    with pytest.raises(OSError):
        engramdb.VectorDB(tmp_path / "missing.bin", 16)


def test_an_empty_file_has_no_rows(tmp_path):
    (tmp_path / "empty.bin").touch()
    db = engramdb.VectorDB(tmp_path / "empty.bin", 4)
    db.build_index(0, 0)
    assert db.search([1, 2, 3, 4], 2) == []
