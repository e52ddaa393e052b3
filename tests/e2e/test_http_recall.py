# SPDX-License-Identifier: Apache-2.0
"""Recall, maps and strengths over HTTP: the same as over RESP, and as numpy has it."""

import json
import urllib.error
import urllib.request

import numpy as np
import pytest

import live

DIM = 12


class Asker:
    """A server, over HTTP and over RESP."""

    def __init__(self, server, port):
        self.server = server
        self.address = f"http://127.0.0.1:{port}"

    def ask(self, method, path, body=None):
        """The status and the JSON of an answer."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.address + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=live.PATIENCE_SECONDS) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def expect(self, method, path, body=None):
        status, answer = self.ask(method, path, body)
        assert status == 200, answer
        return answer

    def refused(self, method, path, body=None):
        status, answer = self.ask(method, path, body)
        assert status >= 400
        return status, answer["error"]


@pytest.fixture(scope="module")
def shared_asker(tmp_path_factory):
    port = live.free_port()
    server = live.Server(tmp_path_factory.mktemp("http"), "--http-port", port)
    yield Asker(server, port)
    server.end()


@pytest.fixture
def asker(shared_asker):
    with shared_asker.server.redis() as client:
        client.flushall()
    return shared_asker


def fill(asker, name, vectors, *options):
    with asker.server.redis() as client:
        client.execute_command("VNEW", name, vectors.shape[1], *options)
        pipeline = client.pipeline(transaction=False)
        for row, vector in enumerate(vectors):
            pipeline.execute_command("VADD", name, f"item-{row}", vector.astype("<f4").tobytes())
        pipeline.execute()


def elongated(count, dim=DIM, seed=3):
    """Points whose spread halves from one direction to the next."""
    rng = np.random.default_rng(seed)
    turned, _ = np.linalg.qr(rng.normal(size=(dim, dim)))
    return (rng.normal(size=(count, dim)) * 0.5 ** np.arange(dim)) @ turned.T + 2


def as_map(reply):
    return {key.decode(): value for key, value in zip(reply[::2], reply[1::2])}


def test_recall_is_that_of_vrecall(asker):
    vectors = elongated(40)
    fill(asker, "m", vectors, "METRIC", "l2", "PRIMITIVE", "hopfield", "BETA", 8)
    cue = (vectors[7] + 0.02).astype("<f4")
    body = {"vector": cue.tolist(), "mask": "0-5", "top": 3, "options": {"MODE": "clamp", "STEPS": 9}}
    got = asker.expect("POST", "/collections/m/recall", body)
    with asker.server.redis() as client:
        words = ["VEC", cue.tobytes(), "MASK", "0-5", "TOP", 3, "WITHTRACE", "MODE", "clamp", "STEPS", 9]
        said = as_map(client.execute_command("VRECALL", "m", *words))
        energy = client.execute_command("VENERGY", "m", cue.tobytes())
    assert got["attractor"] == said["attractor"].decode() == "item-7"
    assert np.array_equal(np.array(got["state"], "<f4"), np.frombuffer(said["state"], "<f4"))
    assert got["energies"] == [float(each) for each in said["energy"]]
    assert [each["id"] for each in got["support"]] == [key.decode() for key in said["support"][::2]]
    assert (got["steps"], got["kind"], got["beta"]) == (said["steps"], said["kind"].decode(), 8)
    assert asker.expect("POST", "/collections/m/energy", {"vector": cue.tolist()})["energy"] == float(energy)


def test_a_recall_may_begin_with_an_item(asker):
    fill(asker, "m", elongated(20), "METRIC", "l2", "PRIMITIVE", "hopfield", "BETA", 1000)
    assert asker.expect("POST", "/collections/m/recall", {"id": "item-3"})["attractor"] == "item-3"


def test_recall_names_the_field_that_is_wrong(asker):
    fill(asker, "m", elongated(5), "PRIMITIVE", "hopfield")
    fill(asker, "signs", elongated(5, 3), "PRIMITIVE", "flat")
    path = "/collections/m/recall"
    assert asker.refused("POST", path, {"id": "item-9"})[0] == 404
    assert asker.refused("POST", path, {}) == (400, "'vector' is missing, it must be an array of numbers")
    assert "not both" in asker.refused("POST", path, {"id": "item-1", "vector": [1]})[1]
    assert "12" in asker.refused("POST", path, {"vector": [1, 2]})[1]
    assert "BETA" in asker.refused("POST", path, {"id": "item-1", "options": {"BETTER": 1}})[1]
    assert "'options.BETA'" in asker.refused("POST", path, {"id": "item-1", "options": {"BETA": []}})[1]
    assert "'mask'" in asker.refused("POST", path, {"id": "item-1", "mask": [0, 1]})[1]
    assert asker.refused("POST", "/collections/none/recall", {"id": "a"})[0] == 404


@pytest.mark.parametrize("metric", ["l2", "cosine"])
def test_a_map_lies_along_the_principal_axes(asker, metric):
    vectors = elongated(300)
    fill(asker, "m", vectors, "METRIC", metric, "PRIMITIVE", "flat")
    rows = vectors if metric == "l2" else vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centred = rows - rows.mean(axis=0)
    _, spread, axes = np.linalg.svd(centred, full_matrices=False)
    got = asker.expect("GET", "/collections/m/map?sample=1000")
    assert [point["id"] for point in got["points"]] == [f"item-{row}" for row in range(300)]
    mapped = np.array([[point["x"], point["y"]] for point in got["points"]])
    for k in range(2):
        assert abs(np.dot(got["axes"][k], axes[k])) > 0.999
    # A client places vectors of its own by the axes.
    placed = rows @ np.array(got["axes"]).T - got["origin"]
    assert np.allclose(placed, mapped, atol=1e-4 * spread[0])
    assert np.allclose(mapped.mean(axis=0), 0, atol=1e-4 * spread[0])


def test_a_map_is_a_sample_of_what_there_is(asker):
    fill(asker, "m", elongated(500), "PRIMITIVE", "flat")
    with asker.server.redis() as client:
        for row in range(100):
            client.execute_command("VDEL", "m", f"item-{row}")
        client.execute_command("VSETATTR", "m", "item-499", '{"kind":"last"}')
    points = asker.expect("GET", "/collections/m/map?sample=100")["points"]
    ids = [int(point["id"].removeprefix("item-")) for point in points]
    assert len(set(ids)) == 100 and min(ids) >= 100
    assert max(np.diff(sorted(ids))) <= 8
    assert points == asker.expect("GET", "/collections/m/map?sample=100")["points"]
    everything = asker.expect("GET", "/collections/m/map")["points"]
    assert [point.get("metadata") for point in everything if point["id"] == "item-499"] == [{"kind": "last"}]


def test_maps_of_little(asker):
    fill(asker, "none", np.empty((0, 5)))
    assert asker.expect("GET", "/collections/none/map")["points"] == []
    fill(asker, "one", np.ones((1, 5)))
    [point] = asker.expect("GET", "/collections/one/map")["points"]
    assert (point["x"], point["y"]) == (0, 0)
    fill(asker, "same", np.ones((9, 1)), "METRIC", "l2")
    assert {point["x"] for point in asker.expect("GET", "/collections/same/map")["points"]} == {0}
    fill(asker, "line", np.outer(np.arange(9), [1, 2, 2]), "METRIC", "l2")
    line = asker.expect("GET", "/collections/line/map")
    assert {point["y"] for point in line["points"]} == {0} and line["axes"][1] == [0, 0, 0]
    assert np.ptp([point["x"] for point in line["points"]]) == pytest.approx(24)
    assert asker.refused("GET", "/collections/one/map?sample=0")[0] == 400
    assert asker.refused("GET", "/collections/one/map?sample=many")[0] == 400
    assert asker.refused("GET", "/collections/two/map")[0] == 404


def test_strengths_are_those_of_a_time(asker):
    with asker.server.redis() as client:
        client.execute_command("VNEW", "m", 2, "DECAY", "exp", 1000, "CLOCK", "logical")
        for key, strength in (("a", 1), ("b", 4)):
            client.execute_command("VADD", "m", key, "VALUES", 2, 1, 2, "STRENGTH", strength, "AT", 5000)
    ids = ["b", "nobody", "a"]
    got = asker.expect("POST", "/collections/m/strengths", {"ids": ids, "at": 7000})["strengths"]
    assert got == pytest.approx([1, None, 0.25])
    got = asker.expect("POST", "/collections/m/strengths", {"ids": ids})["strengths"]
    assert got == pytest.approx([4, None, 1])
    fill(asker, "n", np.ones((1, 2)))
    assert asker.refused("POST", "/collections/n/strengths", {"ids": ["item-0"]})[0] == 400
    assert "'ids'" in asker.refused("POST", "/collections/m/strengths", {"ids": "a"})[1]
    assert "'ids'" in asker.refused("POST", "/collections/m/strengths", {"ids": [1]})[1]
    assert "10000" in asker.refused("POST", "/collections/m/strengths", {"ids": ["a"] * 10_001})[1]


def test_searches_read_strengths_at_a_time_as_over_resp(asker):
    with asker.server.redis() as client:
        client.execute_command("VNEW", "m", 2, "METRIC", "l2", "DECAY", "exp", 1000, "CLOCK", "logical")
        for key, strength, x in (("a", 1, 1), ("b", 4, 2)):
            client.execute_command("VADD", "m", key, "VALUES", 2, x, 0, "STRENGTH", strength, "AT", 5000)
        told = client.execute_command("VSEARCH", "m", "VALUES", 2, 0, 0, 2, "AT", 7000, "WITHRAW", "WITHSTRENGTH")
    body = {"k": 2, "at": 7000, "include_raw": True, "include_strength": True, "include_metadata": False}
    results = asker.expect("POST", "/collections/m/search", {"vector": [0, 0], **body})["results"]
    for i, result in enumerate(results):
        assert list(result) == ["id", "distance", "raw", "strength"]
        key, *numbers = told[4 * i : 4 * i + 4]
        assert result["id"] == key.decode()
        assert [result["distance"], result["raw"], result["strength"]] == pytest.approx([float(n) for n in numbers])
    assert {result["id"]: result["strength"] for result in results} == pytest.approx({"a": 0.25, "b": 1})
    assert {result["id"]: result["raw"] for result in results} == pytest.approx({"a": 1, "b": 2})
    batch = asker.expect("POST", "/collections/m/search/batch", {"vectors": [[0, 0], [0, 0]], **body})["results"]
    assert batch == [results, results]
    # Now, under this clock, is the last write; and what is not asked for is not told.
    now = asker.expect("POST", "/collections/m/search", {"vector": [0, 0], "include_strength": True})["results"]
    assert {result["id"]: result["strength"] for result in now} == pytest.approx({"a": 1, "b": 4})
    assert "raw" not in now[0]
    for field, value in (("at", -1), ("at", "soon"), ("include_raw", 1), ("include_strength", "yes")):
        assert f"'{field}'" in asker.refused("POST", "/collections/m/search", {"vector": [0, 0], field: value})[1]
    fill(asker, "n", np.ones((1, 2)))
    for field, value in (("at", 5000), ("include_strength", True)):
        assert asker.refused("POST", "/collections/n/search", {"vector": [0, 0], field: value})[0] == 400
