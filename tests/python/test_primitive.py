# SPDX-License-Identifier: Apache-2.0
"""Primitives that are written in Python."""

import gc
import subprocess
import sys

import engramdb
import numpy as np
import pytest
from primitives import Learned, Trouble, names, rows_of

from engramdb._primitive import declaration_of


@pytest.fixture
def trouble():
    Trouble.raises = {}
    engramdb.primitive(Trouble)
    index = engramdb.Index(2, metric="l2", primitive="trouble")
    index.add(["a", "b"], [[0, 0], [3, 4]])
    return index


def test_it_passes_the_conformance_suite(monkeypatch):
    import engramdb_conformance

    engramdb_conformance.register_primitive(*declaration_of(Learned, "learned"))
    monkeypatch.setenv("ENGRAM_PRIMITIVE", "learned")
    with np.errstate(all="ignore"):  # vectors of all sizes
        assert engramdb_conformance.run_conformance(["--minimal", "--no-path-filenames"]) == 0


def test_one_that_breaks_its_promises_does_not_pass(monkeypatch):
    import engramdb_conformance

    class Forgetful(Learned):
        def erase(self, slot):
            pass

        def search(self, query, k, ef=0):
            return self.memory.slots[: max(k, ef)]

    engramdb_conformance.register_primitive(*declaration_of(Forgetful, "forgetful"))
    monkeypatch.setenv("ENGRAM_PRIMITIVE", "forgetful")
    case = "--test-case=*the nearest are found*"
    assert engramdb_conformance.run_conformance(["--minimal", "--no-path-filenames", case]) != 0


@pytest.mark.parametrize("metric", ["cosine", "l2", "dot"])
def test_it_searches_as_any_other(metric):
    rows = rows_of(1, 2000)
    truth = engramdb.Index(8, metric=metric, primitive="flat")
    index = engramdb.Index(8, metric=metric, primitive="learned")
    for made in (truth, index):
        made.add(names(2000), rows, attributes=[{"even": i % 2 == 0} for i in range(2000)])
        made.erase(names(500))
        made.add(names(250), rows[:250])
    wanted, found = truth.search(rows_of(2, 50), k=10), index.search(rows_of(2, 50), k=10)
    shared = [len(set(one) & set(other)) for one, other in zip(wanted.keys, found.keys)]
    assert np.mean(shared) >= 8
    assert index.search(rows[7], k=1) == truth.search(rows[7], k=1)
    assert [index.search(row, k=10).keys for row in rows_of(2, 50)] == found.keys
    assert index.search(rows[300], k=5, filter=".even").keys == truth.search(rows[300], k=5, filter=".even").keys
    assert index.search(rows[300], k=1750).keys == truth.search(rows[300], k=1750).keys
    assert index.search(rows[300], k=1, ef=1).keys != []
    assert (index.primitive, len(index)) == ("learned", 1750)
    assert index.recall(rows[300], beta=50).attractor == truth.recall(rows[300], beta=50).attractor


def test_it_is_rebuilt_when_a_store_opens(tmp_path):
    rows = rows_of(3, 600)
    with engramdb.Store(tmp_path / "store") as store:
        index = store.create("notes", 8, primitive="learned")
        index.add(names(600), rows)
        store.save()
        index.erase("5")
        index.add("7", rows[8])
        expected = index.search(rows[:20], k=5)
    with engramdb.Store(tmp_path / "store") as store:
        found = store["notes"].search(rows[:20], k=5)
        assert found.keys == expected.keys
        assert (found.distances == expected.distances).all()


def test_a_process_that_does_not_know_it_serves_the_rest(tmp_path):
    with engramdb.Store(tmp_path / "store") as store:
        store.create("notes", 8, primitive="learned").add(names(9), rows_of(4, 9))
        store.create("others", 8).add(names(9), rows_of(4, 9))
    program = (
        "import engramdb, sys\n"
        "store = engramdb.Store(sys.argv[1])\n"
        "print(len(store['others']))\n"
        "try:\n"
        "    store['notes'].search([0] * 8)\n"
        "except engramdb.DataLoss as error:\n"
        "    print(error)\n"
        "try:\n"
        "    engramdb.Index(8, primitive='learned')\n"
        "except engramdb.InvalidArgument as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "store")]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0] == "9"
    assert "index 'notes' cannot be restored: unknown primitive 'learned'" in lines[1]
    assert "unknown primitive 'learned', this server has " in lines[2]
    with engramdb.Store(tmp_path / "store") as store:
        assert len(store["notes"]) == 9
        assert store["notes"].search(rows_of(4, 9)[3], k=1).keys == ["3"]


def test_what_search_raises_is_raised_with_its_type_and_message(trouble):
    Trouble.raises = {"search": KeyError("lost")}
    for queries in ([0, 0], [[0, 0], [1, 1]]):
        with pytest.raises(engramdb.InvalidArgument, match="primitive 'trouble': KeyError: 'lost'"):
            trouble.search(queries)
    Trouble.raises = {}
    assert trouble.search([0, 0], k=2).distances.tolist() == [0, 5]


def test_what_insert_raises_leaves_the_key_as_it_was(trouble):
    Trouble.raises = {"insert": ValueError("one line\nand another.")}
    with pytest.raises(engramdb.InvalidArgument, match="ValueError: one line and another$"):
        trouble.add(["b", "c"], [[1, 1], [2, 2]])
    Trouble.raises = {}
    assert (sorted(trouble), trouble["b"].tolist()) == (["a", "b"], [3, 4])
    assert trouble.add("c", [6, 8]) == 1
    assert trouble.search([0, 0], k=3).keys == ["a", "b", "c"]


def test_where_erase_raises_the_structure_is_built_anew(trouble):
    Trouble.raises = {"erase": ValueError("no")}
    assert trouble.erase("a")
    assert trouble.search([0, 0], k=3).keys == ["b"]


def test_a_structure_that_cannot_be_built_anew_is_when_it_can(trouble):
    Trouble.raises = {"erase": ValueError("no"), "insert": OSError("nor this")}
    assert trouble.erase("a")
    with pytest.raises(engramdb.InvalidArgument, match="OSError: nor this"):
        trouble.search([0, 0])
    Trouble.raises = {}
    assert trouble.add("c", [6, 8]) == 1
    assert trouble.search([0, 0], k=3).keys == ["b", "c"]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda held: [], "answered 0 slots of the 2"),
        (lambda held: [min(held)] * 5, "answered 1 slots of the 2"),
        (lambda held: [0, 1, 70], "slot 70, which is not held"),
        (lambda held: [0, 1, -1], "slot -1, which is not held"),
        (lambda held: [0, 1, 2**40], "slot 1099511627776, which is not held"),
        (lambda held: [0.5, 1.5], "numbers of float64"),
        (lambda held: None, "not an array"),
        (lambda held: [[0, 1]], "not an array"),
    ],
)
def test_what_is_no_answer_is_refused_by_a_sentence(trouble, answer, sentence):
    Trouble.raises = {"answer": answer}
    with pytest.raises(engramdb.InvalidArgument, match=sentence):
        trouble.search([0, 0])


def test_options_have_names_ranges_and_defaults():
    seen = []

    @engramdb.primitive(name="with-options", exact=True)
    class Any:
        """All of them."""

        depth = engramdb.option(3, 1, 9, "how deep")
        rate = engramdb.option(0.5, 0, 1, "how fast")

        def __init__(self, memory):
            self.memory = memory
            seen.append((self.depth, self.rate))

        def insert(self, slot): ...

        def erase(self, slot): ...

        def search(self, query, k):
            return self.memory.slots

    engramdb.Index(2, primitive="with-options")
    index = engramdb.Index(2, primitive="with-options", depth=7, rate=0.25)
    assert seen == [(3, 0.5), (7, 0.25)]
    assert (index.info()["depth"], index.info()["rate"]) == (7, 0.25)
    with pytest.raises(engramdb.InvalidArgument, match="1..9"):
        engramdb.Index(2, primitive="with-options", depth=10)
    with pytest.raises(engramdb.InvalidArgument, match="takes no DECAY"):
        engramdb.Index(2, primitive="with-options", decay=("exp", 1000))


def test_a_class_that_is_no_primitive_is_refused():
    class Half:
        def insert(self, slot): ...

        def erase(self, slot): ...

    with pytest.raises(engramdb.InvalidArgument, match="Half has no search"):
        engramdb.primitive(Half)
    with pytest.raises(engramdb.InvalidArgument, match="lower case"):
        engramdb.primitive(name="Spaced out")(Learned)
    with pytest.raises(engramdb.AlreadyExists, match="'flat' is one of the program itself"):
        engramdb.primitive(name="flat")(Learned)


def test_what_init_raises_makes_no_index():
    @engramdb.primitive
    class Unmade(Learned):
        def __init__(self, memory):
            raise RuntimeError(f"no {memory.metric} of {memory.dim}")

    with pytest.raises(engramdb.InvalidArgument, match="'unmade': RuntimeError: no l2 of 3"):
        engramdb.Index(3, metric="l2", primitive="unmade")


def test_a_class_is_replaced_for_indexes_that_are_made_then():
    def make(place):
        @engramdb.primitive(name="redefined")
        class Redefined(Trouble):
            def search(self, query, k):
                raise RuntimeError(place)

        index = engramdb.Index(2, primitive="redefined")
        index.add("a", [1, 1])
        return index

    first, second = make("first"), make("second")
    for index, said in ((first, "first"), (second, "second")):
        with pytest.raises(engramdb.InvalidArgument, match=f"RuntimeError: {said}"):
            index.search([1, 1])


def test_it_sees_its_rows_and_the_distances_of_the_engine():
    kept = []

    @engramdb.primitive
    class Seeing(Trouble):
        def insert(self, slot):
            kept.append((self.memory, self.memory.row(slot)))

        def search(self, query, k):
            memory = self.memory
            assert len(memory) == len(memory.slots) == len(memory.rows)
            assert not memory.rows.flags.writeable
            assert memory.rows.dtype == np.float32
            distances = memory.distances(query)
            assert np.allclose(distances, np.linalg.norm(memory.rows - query, axis=1), atol=1e-4)
            assert (memory.distances(query, memory.slots[::-1]) == distances[::-1]).all()
            for wrong in ([0, 70], [0.5]):
                with pytest.raises(engramdb.InvalidArgument, match="the slots"):
                    memory.distances(query, wrong)
            return memory.slots[np.argsort(distances)[:k]]

        def erase(self, slot):
            assert slot in self.memory.slots

    rows = rows_of(5, 5000)
    index = engramdb.Index(8, metric="l2", primitive="seeing")
    index.add(names(40), rows[:40])
    assert index.search(rows[3], k=1).keys == ["3"]
    assert kept[3][0].rows.base is not None  # a view
    index.add(names(5000), rows)
    index.erase(names(10))
    assert index.search(rows[4000], k=1).keys == ["4000"]
    with pytest.raises(engramdb.NotFound, match="slot 268435455 is not held"):
        kept[0][0].row(268435455)
    values = kept[100][1].copy()
    index.close()
    del index
    gc.collect()
    assert (kept[100][1] == values).all()  # of an index that is gone
    with pytest.raises(engramdb.Unsupported, match="is gone"):
        kept[0][0].rows


def test_it_recalls_as_it_says():
    @engramdb.primitive
    class Completing(Learned):
        """Takes what is hidden from the nearest item."""

        def recall(self, cue, known):
            if known is None:
                known = np.ones(self.memory.dim, dtype=bool)
            rows = self.memory.rows
            best = rows[np.argmin(((rows - cue)[:, known] ** 2).sum(axis=1))]
            return np.where(known, cue, best)

        def energy(self, state):
            return float(self.memory.distances(state).min())

    index = engramdb.Index(3, metric="l2", primitive="completing")
    assert index.recall([1, 2, 3]).kind == "empty"
    index.add(["a", "b"], [[0, 0, 1], [5, 5, 5]])
    found = index.recall([5, 5, 0], mask=slice(0, 2))
    assert (found.state.tolist(), found.attractor, found.weight) == ([5, 5, 5], "b", 1)
    found = index.recall([0, 0, 1])
    assert (found.attractor, found.distance, found.energies.tolist()) == ("a", 0, [0, 0])
    assert index.energy([0, 0, 2]) == 1
    with pytest.raises(engramdb.Unsupported, match="nothing to tune"):
        index.tune()


def test_a_method_cannot_ask_a_store():
    @engramdb.primitive
    class Asking(Trouble):
        def search(self, query, k):
            return asked.search(query)

    asked = engramdb.Index(2, primitive="asking")
    asked.add("a", [1, 1])
    with pytest.raises(engramdb.InvalidArgument, match="Unsupported: a method of a primitive cannot ask a store"):
        asked.search([1, 1])
