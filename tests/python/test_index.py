# SPDX-License-Identifier: Apache-2.0
"""What an index answers, the same in memory, in a directory and in a server."""

import math

import engramdb
import numpy as np
import pytest

ROWS = np.array([[0, 0, 1], [0, 3, 0], [5, 0, 0]], dtype=np.float32)
KEYS = ["one", "three", "five"]


@pytest.fixture
def index(store):
    made = store.create("notes", 3, metric="l2", primitive="flat")
    made.add(KEYS, ROWS)
    return made


@pytest.fixture
def memory(store):
    made = store.create("memory", 4, metric="l2", primitive="hopfield")
    made.add(["up", "down"], [[0, 0, 1, 1], [1, 1, 0, 0]])
    return made


@pytest.fixture
def fading(store):
    made = store.create("fading", 2, metric="l2", primitive="flat", decay=("exp", 1000), clock="logical")
    made.add(["a", "b"], [[0, 0], [3, 4]], at=0)
    return made


def test_added_keys_are_counted_and_told_in_order(index):
    assert index.add(["one", "new"], ROWS[:2]) == 1
    assert len(index) == 4
    assert list(index) == ["five", "new", "one", "three"]
    assert "new" in index
    assert "old" not in index
    assert index.add("single", ROWS[0]) == 1
    assert index.add([], np.empty((0, 3))) == 0


def test_a_vector_is_got_as_it_was_given(index):
    assert index["three"].tolist() == [0, 3, 0]
    assert index["three"].dtype == np.float32
    assert index.get("old") is None
    rows = index.get(["five", "old"])
    assert rows[0].tolist() == [5, 0, 0]
    assert np.isnan(rows[1]).all()
    with pytest.raises(engramdb.NotFound, match="has no key 'old'"):
        index["old"]


def test_keys_are_bytes_where_they_are_no_text(index):
    index.add([b"\xff\x00", b"text"], ROWS[:2])
    assert list(index) == ["five", "one", "text", "three", b"\xff\x00"]
    assert "text" in index
    assert b"text" in index
    assert index[b"\xff\x00"].tolist() == [0, 0, 1]


@pytest.mark.parametrize("wrong", [7, None, ("a",)], ids=str)
def test_a_key_of_another_type_is_refused(index, wrong):
    with pytest.raises(engramdb.InvalidArgument, match="a key is str or bytes"):
        index.add([wrong], ROWS[:1])


def test_erased_keys_are_gone(index):
    assert index.erase("one") is True
    assert index.erase("one") is False
    assert index.erase(["three", "five", "old"]) == 2
    assert len(index) == 0


def test_one_query_is_answered_with_what_was_found(index):
    keys, distances = index.search([0, 0, 0], k=5)
    assert keys == ["one", "three", "five"]
    assert distances.dtype == np.float32
    assert distances.tolist() == [1, 3, 5]


def test_a_batch_is_filled_up_where_a_query_found_fewer(index):
    keys, distances = index.search([[0, 0, 0], [5, 0, 0.5]], k=2, radius=1)
    assert keys == [["one"], ["five"]]
    keys, distances = index.search([[0, 1, 0], [5, 0, 0.5]], k=3, radius=2)
    assert keys == [["one", "three"], ["five", None]]
    assert distances.shape == (2, 2)
    assert distances[1, 0] == 0.5
    assert math.isnan(distances[1, 1])
    keys, distances = index.search(np.empty((0, 3)), k=3)
    assert (keys, distances.shape) == ([], (0, 0))


def test_many_queries_are_answered_in_their_order(index):
    generator = np.random.default_rng(1)
    queries = ROWS[generator.integers(0, 3, 3000)]
    keys, distances = index.search(queries, k=1)
    assert [row[0] for row in keys] == [KEYS[int(np.argmax((ROWS == query).all(axis=1)))] for query in queries]
    assert not distances.any()


@pytest.mark.parametrize(
    "convert",
    [
        lambda rows: rows.tolist(),
        lambda rows: rows.astype(np.float16),
        lambda rows: rows.astype(np.float64),
        lambda rows: rows.astype(np.int32),
        np.asfortranarray,
        lambda rows: np.repeat(rows, 2, axis=1)[:, ::2],
        lambda rows: rows.astype(">f4"),
    ],
    ids=["lists", "float16", "float64", "int32", "fortran", "strided", "big-endian"],
)
def test_numbers_of_every_layout_are_converted(index, convert):
    index.add(KEYS, convert(ROWS[::-1]))
    assert index["one"].tolist() == [5, 0, 0]
    assert index.search(convert(ROWS), k=1).keys == [["five"], ["three"], ["one"]]


@pytest.mark.parametrize(
    ("queries", "sentence"),
    [
        ([1, 2], "vector has 2 dimensions, index 'notes' has 3"),
        ([[1, 2], [3, 4], [5, 6]], "vector has 2 dimensions, index 'notes' has 3"),
        ([1, 2, math.nan], "finite|NaN"),
        (1, "of 1 or 2 dimensions"),
        (np.zeros((1, 1, 3)), "of 1 or 2 dimensions"),
        ("text", "expected numbers"),
        ([[1, 2], [3]], "expected numbers"),
        ([], "at least one dimension"),
    ],
    ids=str,
)
def test_what_is_no_vector_is_refused_by_a_sentence(index, queries, sentence):
    with pytest.raises(engramdb.InvalidArgument, match=sentence):
        index.search(queries, k=1)


def test_options_that_are_wrong_are_refused_by_a_sentence(index, store):
    with pytest.raises(engramdb.InvalidArgument, match="k must be an integer in 1"):
        index.search(ROWS[0], k=0)
    with pytest.raises(engramdb.InvalidArgument, match="unknown option 'NONSENSE', known options are EF"):
        index.search(ROWS[0], nonsense=1)
    with pytest.raises(engramdb.InvalidArgument, match="hamming"):
        store.create("more", 3, metric="hamming")
    with pytest.raises(engramdb.AlreadyExists, match="already exists"):
        store.create("notes", 3)
    with pytest.raises(engramdb.InvalidArgument, match="a vector for each of 2 keys, got 3"):
        index.add(["a", "b"], ROWS)


def test_errors_are_pythons_own_as_well(index, store):
    with pytest.raises(ValueError, match="2 dimensions"):
        index.search([1, 2])
    with pytest.raises(LookupError):
        index["old"]
    with pytest.raises(LookupError):
        store["missing"]


def test_attributes_are_dicts_and_filters_choose_by_them(index):
    index.add(["one", "three"], ROWS[:2], attributes=[{"year": 1999}, {"year": 2020, "tags": ["x"]}])
    assert index.attributes("three") == {"year": 2020, "tags": ["x"]}
    assert index.attributes("five") is None
    assert index.search([0, 0, 0], k=3, filter=".year < 2000").keys == ["one"]
    assert index.search([0, 0, 0], k=3, filter={"op": "gte", "field": "year", "value": 2000}).keys == ["three"]
    index.add(["one", "three"], ROWS[:2], attributes=[None, {}])
    assert index.attributes("one") == {"year": 1999}
    assert index.attributes("three") is None
    assert index.set_attributes("five", {"a": 1})
    assert not index.set_attributes("old", {"a": 1})
    assert index.set_attributes("five", None)
    assert index.attributes("five") is None


def test_a_near_vector_keeps_another_out(index):
    assert index.add_unless("more", [0, 0, 1.5], within=1) == "one"
    assert "more" not in index
    assert index.add_unless("more", [0, 0, 1.5], within=0.25, attributes={"a": 1}) is None
    assert index.attributes("more") == {"a": 1}


@pytest.mark.parametrize(
    "mask",
    ["2-3", slice(2, 4), [3, 2], np.array([False, False, True, True]), np.array([2, 3])],
    ids=["text", "slice", "numbers", "booleans", "array"],
)
def test_a_cue_is_completed_from_the_coordinates_that_are_known(memory, mask):
    found = memory.recall([9, 9, 1, 1], mask=mask, beta=20)
    assert found.attractor == "up"
    assert found.state.dtype == np.float32
    assert np.allclose(found.state, [0, 0, 1, 1], atol=1e-6)
    assert found.kind == "pattern"
    assert found.support[0] == "up"
    assert found.weights.dtype == np.float64
    assert found.weights.sum() == pytest.approx(1)
    assert found.novel is None
    assert found.exact


def test_energies_fall_along_a_recall(memory):
    found = memory.recall([0.2, 0.1, 0.8, 1], beta=3)
    assert len(found.energies) == found.steps + 1
    assert (np.diff(found.energies) <= 1e-12).all()
    assert memory.energy([0.2, 0.1, 0.8, 1], beta=3) == pytest.approx(found.energies[0])


def test_an_empty_memory_recalls_nothing(store):
    found = store.create("empty", 2, metric="l2", primitive="hopfield").recall([1, 2], beta=1)
    assert (found.attractor, found.distance, found.kind) == (None, None, "empty")
    assert found.state.tolist() == [1, 2]
    assert found.support == []


def test_tuning_finds_the_beta_that_recalls_go_by(memory):
    generator = np.random.default_rng(3)
    memory.add([str(i) for i in range(50)], generator.standard_normal((50, 4)))
    tuned = memory.tune(sample=40, seed=1)
    assert memory.recall([0, 0, 1, 1]).beta == tuned["beta"]
    described = memory.diag(sample=40)
    assert described["items"] == 52
    assert isinstance(described["gap-median"], float)


def test_a_cue_is_one_vector(memory):
    for use in (memory.recall, memory.energy):
        with pytest.raises(engramdb.InvalidArgument, match="expected one vector"):
            use(np.zeros((2, 4)))
    with pytest.raises(engramdb.InvalidArgument, match="bad range"):
        memory.recall([0, 0, 1, 1], mask="0-7", beta=1)


def test_strengths_fade_and_are_touched(fading):
    assert fading.strength("a", at=1000).strength == pytest.approx(0.5)
    assert fading.touch("a", gain=1, at=1000) == pytest.approx(1.5)
    assert fading.touch(["a", "old"], gain=0.5, at=1000) == [pytest.approx(2), None]
    assert fading.touch("old", at=1000) is None
    assert fading.strength("old") is None
    told = fading.strength("b", at=1000)
    assert (told.at_ms, told.is_pinned, told.half_life_ms, told.stability_ms) == (1000, False, 1000, None)
    assert fading.forget(0.75, at=1000, dry_run=True) == ["b"]
    assert len(fading) == 2
    assert fading.forget(0.75, at=1000) == ["b"]
    assert list(fading) == ["a"]


def test_a_search_may_touch_what_it_answers(fading):
    assert fading.search([0, 0], k=1, touch=3, at=0).keys == ["a"]
    assert fading.strength("a", at=0).strength == pytest.approx(4)


def test_items_that_lie_near_become_one(index):
    index.add(["near", "nearer"], [[0, 0, 1.5], [0, 0, 1]])
    planned = index.consolidate(0.6, dry_run=True)
    assert len(index) == 5
    done = index.consolidate(0.6)
    assert (planned.items, planned.members, done.members, done.dropped) == (5, 3, 3, 0)
    assert done.groups[0].strength == 3
    assert sorted(done.groups[0].members) == ["near", "nearer", "one"]
    assert len(index) == 3


def test_an_index_describes_itself(index):
    told = index.info()
    assert (told["size"], told["vector-dim"], told["metric"], told["primitive"]) == (3, 3, "l2", "flat")
    assert (index.name, index.dim, index.metric, index.primitive) == ("notes", 3, "l2", "flat")
    assert repr(index).startswith("<engramdb.Index 'notes': 3 x 3, l2, flat, ")


def test_graphs_find_by_effort_and_by_share(store):
    generator = np.random.default_rng(2)
    rows = generator.standard_normal((2000, 16)).astype(np.float32)
    index = store.create("graph", 16, m=8, ef_construction=64)
    assert index.add([str(i) for i in range(len(rows))], rows) == len(rows)
    for effort in ({"ef": 100}, {"recall": 0.95}, {}):
        found = index.search(rows[:50], k=1, **effort).keys
        assert sum(row[0] == str(i) for i, row in enumerate(found)) >= 45


def test_floats_that_are_not_aligned_are_taken(index):
    row = np.frombuffer(b"\0" + np.array([1, 0, 2], dtype=np.float32).tobytes(), dtype=np.float32, offset=1)
    index.add(["odd"], row[None])
    assert index["odd"].tolist() == [1, 0, 2]
