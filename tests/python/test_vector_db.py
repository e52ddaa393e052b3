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


def write_npy_2(path, rows):
    with open(path, "wb") as file:
        np.lib.format.write_array(file, rows, version=(2, 0))


def write_fbin(path, rows):
    path.write_bytes(struct.pack("<II", *rows.shape) + rows.tobytes())


def write_fvecs(path, rows):
    path.write_bytes(b"".join(struct.pack("<i", len(row)) + row.tobytes() for row in rows))


FORMATS = {"rows.npy": write_npy, "second.npy": write_npy_2, "rows.fbin": write_fbin, "rows.fvecs": write_fvecs}


@pytest.mark.parametrize("name", FORMATS)
def test_other_formats_are_read(tmp_path, rows, name):
    path = tmp_path / name
    FORMATS[name](path, rows)
    with engramdb.VectorDB(path, DIM, metric="l2") as db:
        assert db.is_mapped == (path.suffix != ".fvecs")
        db.build_index()
        assert len(db) == 500 and db.search(rows[321], 1)[0][0] == 321
        assert np.array_equal(db.index["321"], rows[321])
    with pytest.raises(engramdb.InvalidArgument):
        with engramdb.VectorDB(path, DIM + 1) as db:
            db.build_index()
    whole = path.read_bytes()
    for size in (len(whole) - 3, len(whole) - 4 * (DIM - 1), 100, 7, 3):
        path.write_bytes(whole[:size])
        with pytest.raises(engramdb.InvalidArgument):
            engramdb.VectorDB(path, DIM)
    path.write_bytes(whole)
    db = engramdb.VectorDB(path, DIM)
    path.write_bytes(whole[:2000])
    with pytest.raises(engramdb.DataLoss, match="is not what was opened"):
        db.build_index()


@pytest.mark.parametrize("name", [name for name in FORMATS if not name.endswith(".fvecs")])
def test_a_file_with_a_header_is_searched_where_it_lies(tmp_path, name):
    rows = np.random.default_rng(2).standard_normal((40_000, 4)) @ np.random.default_rng(3).standard_normal((4, 64))
    rows = rows.astype(np.float32)
    path = tmp_path / name
    FORMATS[name](path, rows)
    with engramdb.VectorDB(path, 64, 8, 40, metric="l2", quant="sq4") as db:
        db.build_index()
        assert copied_bytes(path) == 0
        for number in (0, 1, 20_000, 39_999):
            assert np.array_equal(db.index[str(number)], rows[number])
            assert db.search(rows[number], 1, ef=200) == [(number, pytest.approx(0, abs=1e-3))]
        whole = path.read_bytes()
        os.truncate(path, len(whole) // 2)
        with pytest.raises(engramdb.DataLoss, match="is not what was opened"):
            db.search(rows[39_999], 1)


def save_with_header(path, header):
    """An .npy file of version 1.0 with such a header, and 100 rows."""
    text = (header + "\n").encode("latin1")
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(100 * 4 * DIM))


def test_arrays_that_are_no_float32_rows_are_refused(tmp_path, rows):
    path = tmp_path / "rows.npy"
    refused = {
        "type <f8, expected little-endian float32": rows.astype(float),
        "type >f4, expected little-endian float32": rows.astype(">f4"),
        r"type \|O, expected little-endian float32": rows.astype(object),
        r"the shape \(500,\), expected rows": np.ascontiguousarray(rows[:, 0]),
        r"the shape \(2, 250, 16\), expected rows": rows.reshape(2, 250, DIM),
        "in Fortran's order": np.asfortranarray(rows),
    }
    for sentence, array in refused.items():
        np.save(path, array)
        with pytest.raises(engramdb.InvalidArgument, match=sentence):
            engramdb.VectorDB(path, DIM)
    with open(path, "wb") as file:
        np.savez(file, rows=rows)
    with pytest.raises(engramdb.InvalidArgument, match="is a zip archive, as .npz files are"):
        engramdb.VectorDB(path, DIM)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "{",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (100, 16), ",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (100, 16)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-100, 16)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (10**100, 16)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (101, 16)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99, 16)}",
        "{'descr': '<q9', 'fortran_order': False, 'shape': (100, 16)}",
        "{[]: 1}",
        "(" * 9000,
        "__import__('os')",
    ],
)
def test_headers_that_are_none_are_refused(tmp_path, header):
    path = tmp_path / "rows.npy"
    save_with_header(path, "{'descr': '<f4', 'fortran_order': False, 'shape': (100, 16)}")
    assert len(engramdb.VectorDB(path, DIM)._rows) == 100
    save_with_header(path, header)
    with pytest.raises(engramdb.InvalidArgument, match="rows.npy"):
        engramdb.VectorDB(path, DIM)


def test_other_versions_and_no_arrays_are_refused(tmp_path, rows):
    path = tmp_path / "rows.npy"
    np.save(path, rows)
    whole = bytearray(path.read_bytes())
    for version in ((3, 0), (1, 1), (9, 0)):
        whole[6:8] = bytes(version)
        path.write_bytes(whole)
        with pytest.raises(engramdb.InvalidArgument, match=r"expected 1.0 or 2.0"):
            engramdb.VectorDB(path, DIM)
    path.write_text("no array")
    with pytest.raises(engramdb.InvalidArgument, match="is no .npy file"):
        engramdb.VectorDB(path, DIM)
