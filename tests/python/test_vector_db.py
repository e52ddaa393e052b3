# SPDX-License-Identifier: Apache-2.0
import os
import struct

import engramdb
import numpy as np
import pytest

DIM = 16


@pytest.fixture
def rows(tmp_path):
    made = np.random.default_rng(5).standard_normal((500, DIM)).astype(np.float32)
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
    for dim in (4, 16):
        db = engramdb.VectorDB(tmp_path / "empty.bin", dim)
        db.build_index(0, 0)
        assert db.search([1] * dim, 2) == []


def copied_bytes(path):
    """Of the maps of a file in this process, what is copies."""
    copied, is_of_file = 0, False
    with open("/proc/self/smaps", encoding="utf-8") as maps:
        for line in maps:
            if "-" in line.split(" ", 1)[0]:
                is_of_file = line.rstrip().endswith(str(path))
            elif is_of_file and line.startswith("Anonymous:"):
                copied += 1024 * int(line.split()[1])
    return copied


@pytest.mark.parametrize("options", [{}, {"quant": "sq4"}, {"primitive": "flat"}])
def test_a_raw_file_is_searched_where_it_lies(tmp_path, options):
    generator = np.random.default_rng(1)
    # Of few dimensions, so that a graph finds all of them.
    rows = (generator.standard_normal((20_000, 4)) @ generator.standard_normal((4, 64))).astype(np.float32)
    path = tmp_path / "large.bin"
    rows.tofile(path)
    with engramdb.VectorDB(path, 64, 16, 100, metric="l2", **options) as db:
        assert db.is_mapped
        db.build_index(0, 12_000)
        db.build_index(12_000)
        assert copied_bytes(path) == 0
        for number in range(0, 20_000, 1013):
            found = db.search(rows[number], 1, ef=200)
            assert found == [(number, pytest.approx(0, abs=1e-3))]
        assert np.array_equal(db.index["19999"], rows[19_999])
        # Another vector under a key of the file is a copy, and the file keeps its own.
        assert db.index.add("7", rows[7] + 100) == 0
        assert db.search(rows[7] + 100, 1)[0][0] == 7
    assert np.array_equal(np.fromfile(path, dtype=np.float32).reshape(rows.shape), rows)


def test_unit_rows_stay_in_the_file_under_cosine_and_others_do_not(tmp_path):
    rows = np.random.default_rng(1).standard_normal((20_000, 64))
    (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32).tofile(tmp_path / "unit.bin")
    rows.astype(np.float32).tofile(tmp_path / "other.bin")
    for name in ("unit.bin", "other.bin"):
        with engramdb.VectorDB(tmp_path / name, 64, primitive="flat") as db:
            db.build_index()
            assert (copied_bytes(tmp_path / name) == 0) == (name == "unit.bin")
            assert db.search(rows[5], 1)[0][0] == 5


def test_rows_of_other_sizes_are_copied(tmp_path):
    rows = np.random.default_rng(1).standard_normal((300, 20)).astype(np.float32)
    rows.tofile(tmp_path / "rows.bin")
    with engramdb.VectorDB(tmp_path / "rows.bin", 20, metric="l2") as db:
        db.build_index()
        assert not db.is_mapped
        assert db.search(rows[299], 1)[0][0] == 299


def cut(path):
    os.truncate(path, 4 * DIM)


def empty(path):
    os.truncate(path, 0)


def overwrite(path):
    with open(path, "r+b") as file:
        file.write(b"1234")


def replace(path):
    os.rename(path.with_name("second.bin"), path)


@pytest.mark.parametrize("change", [cut, empty, overwrite, replace, os.remove])
@pytest.mark.parametrize("options", [{}, {"quant": "sq4"}, {"primitive": "flat"}])
def test_a_file_that_is_another_now_is_an_error(tmp_path, rows, change, options):
    many = np.tile(rows, (40, 1)) + np.arange(20_000, dtype=np.float32)[:, np.newaxis]
    path = tmp_path / "rows.bin"
    for name in ("rows.bin", "second.bin"):
        many.tofile(tmp_path / name)
    with engramdb.VectorDB(path, DIM, 8, 40, metric="l2", **options) as db:
        db.build_index(0, 15_000)
        assert db.search(many[7], 1)[0][0] == 7
        change(path)
        for _ in range(2):
            with pytest.raises(engramdb.DataLoss, match="is not what was opened"):
                db.search(many[14_000], 3)
            with pytest.raises(engramdb.DataLoss, match="is not what was opened"):
                db.index.get(["14000"])
        with pytest.raises((engramdb.DataLoss, FileNotFoundError)):
            db.build_index(15_000)


def write_npy(path, rows):
    np.save(path, rows)


def write_fbin(path, rows):
    path.write_bytes(struct.pack("<II", *rows.shape) + rows.tobytes())


def write_fvecs(path, rows):
    path.write_bytes(b"".join(struct.pack("<i", len(row)) + row.tobytes() for row in rows))


@pytest.mark.parametrize("write", [write_npy, write_fbin, write_fvecs])
def test_other_formats_are_read(tmp_path, rows, write):
    path = tmp_path / ("rows." + write.__name__.removeprefix("write_"))
    write(path, rows)
    with engramdb.VectorDB(path, DIM, metric="l2") as db:
        assert not db.is_mapped
        db.build_index()
        assert len(db) == 500 and db.search(rows[321], 1)[0][0] == 321
        assert np.array_equal(db.index["321"], rows[321])
    with pytest.raises(engramdb.InvalidArgument):
        with engramdb.VectorDB(path, DIM + 1) as db:
            db.build_index()
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(engramdb.InvalidArgument):
        engramdb.VectorDB(path, DIM)
    path.write_bytes(whole)
    db = engramdb.VectorDB(path, DIM)
    path.write_bytes(whole[:2000])
    with pytest.raises(engramdb.DataLoss, match="is not what was opened"):
        db.build_index()


def test_numbers_that_are_no_float32_rows_are_refused(tmp_path, rows):
    for name, array in (("double", rows.astype(float)), ("flat", rows[0]), ("fortran", np.asfortranarray(rows))):
        np.save(tmp_path / f"{name}.npy", array)
        with pytest.raises(engramdb.InvalidArgument, match="expected float32 rows"):
            engramdb.VectorDB(tmp_path / f"{name}.npy", DIM)
    (tmp_path / "text.npy").write_text("no array")
    with pytest.raises(engramdb.InvalidArgument, match="is no .npy file"):
        engramdb.VectorDB(tmp_path / "text.npy", DIM)
