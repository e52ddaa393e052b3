# SPDX-License-Identifier: Apache-2.0
"""A router speaks HTTP as a single server does: the same requests have the same answers."""

import base64
import random
import socket
import struct
import threading

import pytest

import live
from cluster import Cluster
from http_client import BINARY, Http, packed_batch
from http_client import client, module_server  # fixtures
from module_scripts import NEEDS_MODULE

pytestmark = NEEDS_MODULE
DIM = 8
PARTITIONS = 8
FLAT = {"dim": DIM, "metric": "l2", "primitive": "flat"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("cluster"), masters=3) as running:
        yield running


def http_router(cluster, *flags, timeout_ms=10_000):
    port = live.free_port()
    return Http(cluster.router("--node-timeout", timeout_ms, "--http-port", port, *flags), port)


@pytest.fixture
def strict_router(cluster, tmp_path):
    """One with small bounds, which its configuration has."""
    settings = tmp_path / "router.conf"
    settings.write_text("http-max-body 4096\nhttp-timeout 1\n")
    return http_router(cluster, settings)


@pytest.fixture(scope="module")
def module_router(cluster):
    return http_router(cluster)


@pytest.fixture
def router(module_router):
    """A router whose cluster holds nothing."""
    for collection in module_router.expect(200, "GET", "/collections")["collections"]:
        module_router.expect(200, "DELETE", f"/collections/{collection['name']}")
    return Http(module_router.server, module_router.port)


def vectors(seed, count, dim=DIM):
    print(f"seed {seed}")
    rng = random.Random(seed)
    return [[struct.unpack("f", struct.pack("f", rng.gauss(0, 1)))[0] for _ in range(dim)] for _ in range(count)]


def items(seed, count):
    """Of which every third has metadata."""
    for number, vector in enumerate(vectors(seed, count)):
        item = {"id": f"id {number}/\u00e9", "vector": vector}
        yield item | ({"metadata": {"n": number, "even": number % 2 == 0}} if number % 3 == 0 else {})


def same(router, single, *request):
    """What both answer, status and JSON."""
    ours, theirs = router.ask(*request), single.ask(*request)
    assert (ours.status, ours.json) == (theirs.status, theirs.json), request
    for field in ("Content-Type", "Retry-After", "Allow", "WWW-Authenticate"):
        assert ours.getheader(field) == theirs.getheader(field), request
    return ours


def make(router, single, name, body):
    """The collection, of partitions behind the router."""
    options = body.get("options", {}) | {"PARTITIONS": PARTITIONS}
    made = router.expect(201, "PUT", f"/collections/{name}", body | {"options": options})
    assert made == single.expect(201, "PUT", f"/collections/{name}", body)


@pytest.fixture
def filled(router, client):
    """The router and a server, with the same 300 items in a collection `c`."""
    make(router, client, "c", FLAT)
    batch = list(items(1, 300))
    assert same(router, client, "POST", "/collections/c/vectors/batch", {"vectors": batch}).json == {
        "stored": 300,
        "created": 300,
    }
    return router, client


QUERY = [0.5, -0.25, 0, 1, 0, 0, 2, -1]
PACKED = {"base64": base64.b64encode(struct.pack(f"<{DIM}f", *QUERY)).decode()}
SEARCHES = [
    {"vector": QUERY},
    {"vector": PACKED, "k": 1},
    {"vector": QUERY, "k": 300},
    {"vector": QUERY, "k": 1000, "include_metadata": False},
    {"vector": QUERY, "k": 40, "include_vectors": True},
    {"vector": QUERY, "k": 7, "include_raw": True, "include_metadata": False, "include_vectors": True},
    {"vector": QUERY, "k": 20, "filter": {"op": "lt", "field": "n", "value": 100}},
    {"vector": QUERY, "k": 20, "filter": ".n > 200 && .even"},
    {"vector": QUERY, "k": 100, "radius": 2.5},
    {"vector": QUERY, "k": 5, "radius": 1e300},
    {"vector": QUERY, "k": 5, "ef": 10, "exact": True, "at": None, "filter": None},
    {"vector": QUERY, "k": 5, "recall": 0.9},
]


@pytest.mark.parametrize("body", SEARCHES, ids=str)
def test_a_search_finds_what_one_index_does(filled, body):
    router, single = filled
    assert same(router, single, "POST", "/collections/c/search", body).status == 200
    batch = {**body, "vectors": [body["vector"], [-x for x in QUERY], PACKED]}
    del batch["vector"]
    assert same(router, single, "POST", "/collections/c/search/batch", batch).status == 200


def test_a_partial_search_says_of_how_many_partitions_it_is(filled):
    router, single = filled
    whole = single.expect(200, "POST", "/collections/c/search", {"vector": QUERY, "k": 30})
    told = router.expect(200, "POST", "/collections/c/search", {"vector": QUERY, "k": 30, "partial": True})
    assert told["results"] == whole["results"]
    assert (told["ok"], told["total"]) == (PARTITIONS, PARTITIONS)
    assert told["epoch"] == router.expect(200, "GET", "/collections/c")["info"]["epoch"]
    batch = {"vectors": [QUERY, QUERY], "k": 30, "partial": True}
    told = router.expect(200, "POST", "/collections/c/search/batch", batch)
    assert told["results"] == [whole["results"]] * 2 and told["ok"] == PARTITIONS


def test_vectors_are_stored_shown_replaced_and_deleted(router, client):
    make(router, client, "c", FLAT)
    for method, path, body in (
        ("POST", "", {"id": "a/b", "vector": QUERY, "metadata": {"x": [1, "\u00e9"]}}),
        ("GET", "/a%2Fb", None),
        ("POST", "", {"id": "a/b", "vector": PACKED}),
        ("GET", "/a%2Fb", None),
        ("POST", "", {"id": "a/b", "vector": PACKED, "metadata": None}),
        ("GET", "/a%2Fb", None),
        ("POST", "/batch", {"vectors": [{"id": str(i), "vector": [i] * DIM} for i in range(50)] * 2}),
        ("POST", "/batch", {"vectors": list(items(2, 60))}),
        ("POST", "/batch", {"vectors": [{"id": "m", "vector": [1] * DIM, "metadata": {"x": 1}}] * 2}),
        (
            "POST",
            "/batch",
            {
                "vectors": [
                    {"id": "t", "vector": [1] * DIM, "metadata": {"x": 1}},
                    {"id": "t", "vector": [2] * DIM},
                ]
            },
        ),
        ("GET", "/t", None),
        ("GET", "/49", None),
        ("HEAD", "/49", None),
        ("DELETE", "/49", None),
        ("DELETE", "/49", None),
        ("GET", "/49", None),
    ):
        same(router, client, method, f"/collections/c/vectors{path}", body)
    assert router.expect(200, "GET", "/collections/c")["count"] == 50 + 60 + 3 - 1


def test_a_batch_in_binary_is_stored(router, client):
    make(router, client, "c", FLAT)
    path = "/collections/c/vectors/batch"
    batch = [("a", QUERY, '{"x": 1}'), ("b", [0] * DIM, None), ("c", [1] * DIM, "")]
    assert same(router, client, "POST", path, packed_batch(batch, DIM, 1), BINARY).status == 201
    assert same(router, client, "POST", path, packed_batch(batch, DIM), BINARY).status == 200
    for key in "abc":
        same(router, client, "GET", f"/collections/c/vectors/{key}")
    good = packed_batch(batch, DIM)
    for body in (
        b"",
        good[:-1],
        packed_batch([("a", QUERY, "[1]")], DIM, 1),
        packed_batch([("", QUERY, None)], DIM),
        packed_batch([("a", [1.0], None)], 1),
        packed_batch([("a", QUERY, None), ("b", [float("nan")] * DIM, None)], DIM),
    ):
        assert same(router, client, "POST", path, body, BINARY).status == 400


def test_the_first_insert_makes_the_default_collection(router, client):
    assert same(router, client, "POST", "/search", {"vector": [1, 2]}).status == 404
    assert same(router, client, "POST", "/vectors", {"id": "a", "vector": [1, 2]}).status == 201
    assert same(router, client, "POST", "/vectors", {"id": "b", "vector": [1, 2, 3]}).status == 400
    assert same(router, client, "POST", "/search", {"vector": [1, 2]}).status == 200
    assert same(router, client, "GET", "/collections").status == 200
    assert same(router, client, "DELETE", "/collections/default").status == 200


def test_inserts_at_once_make_one_default_collection(router):
    """Others have seen that there is none, too."""
    clients = [Http(router.server, router.port) for _ in range(8)]
    failures = []

    def insert(number):
        with live.noting(failures):
            clients[number].expect(201, "POST", "/vectors", {"id": str(number), "vector": [number, 1]})

    threads = [threading.Thread(target=insert, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(router.expect(200, "POST", "/search", {"vector": [1, 1], "k": 10})["results"]) == 8


def test_collections_are_made_listed_described_and_dropped(router, client):
    for name, body in (
        ("flat", FLAT),
        ("a b", {"dim": 3}),
        ("memory", {"dim": 4, "metric": "dot", "primitive": "hopfield", "options": {"BETA": 2}}),
    ):
        make(router, client, name.replace(" ", "%20"), body)
    listed = same(router, client, "GET", "/collections").json["collections"]
    assert [one["name"] for one in listed] == ["a b", "flat", "memory"]
    router.expect(201, "POST", "/collections/memory/vectors", {"id": "x", "vector": [1, 0, 0, 0]})
    described = router.expect(200, "GET", "/collections/memory")
    assert described["count"] == described["info"]["size"] == 1
    assert (described["info"]["ok"], described["info"]["total"]) == (PARTITIONS, PARTITIONS)
    assert {"metric": "dot", "primitive": "hopfield", "dim": 4}.items() <= described.items()
    assert same(router, client, "PUT", "/collections/flat", {"dim": 3}).status == 409
    for name in ("flat", "a%20b", "memory"):
        assert same(router, client, "DELETE", f"/collections/{name}").status == 200
        assert same(router, client, "DELETE", f"/collections/{name}").status == 404
    assert router.expect(200, "GET", "/collections") == {"collections": []}


def test_a_collection_that_another_router_has_made_anew_is_found(cluster, router):
    other = http_router(cluster)
    for dim in (2, 3, 4):  # what it remembers is of another dimension
        router.expect(201, "PUT", "/collections/c", {"dim": dim, "metric": "l2", "primitive": "flat"})
        other.expect(201, "POST", "/collections/c/vectors", {"id": "a", "vector": [1] * dim})
        found = other.expect(200, "POST", "/collections/c/search", {"vector": [1] * dim})["results"]
        assert found == [{"id": "a", "distance": 0, "metadata": None}]
        router.expect(200, "DELETE", "/collections/c")


def test_what_is_read_after_a_search_is_of_the_layout_that_it_found(cluster, router):
    other = http_router(cluster)
    body = {"vector": [1] * DIM, "include_vectors": True}
    for n in range(3):  # what it remembers is gone
        router.expect(201, "PUT", "/collections/c", FLAT)
        item = {"id": "a", "vector": [1] * DIM, "metadata": {"n": n}}
        router.expect(201, "POST", "/collections/c/vectors", item)
        found = other.expect(200, "POST", "/collections/c/search", body)["results"]
        assert found == [{**item, "distance": 0}]
        router.expect(200, "DELETE", "/collections/c")


def test_an_insert_that_is_refused_makes_no_default_collection(router):
    items = [{"id": str(dim), "vector": [1] * dim} for dim in (2, 3)]
    router.error(400, "POST", "/vectors/batch", {"vectors": items})
    router.error(404, "GET", "/collections/default")


def test_a_collection_of_one_partition_takes_what_others_refuse(router):
    decaying = {"dim": 2, "metric": "l2", "primitive": "flat", "options": {"DECAY": "exp 60000"}}
    refused = router.error(501, "PUT", "/collections/d", decaying)
    assert "DECAY" in refused and "PARTITIONS 1" in refused
    decaying["options"]["PARTITIONS"] = 1
    router.expect(201, "PUT", "/collections/d", decaying)
    router.expect(201, "POST", "/collections/d/vectors", {"id": "a", "vector": [3, 4]})
    body = {"vector": [0, 0], "include_strength": True, "include_raw": True}
    (found,) = router.expect(200, "POST", "/collections/d/search", body)["results"]
    assert found["id"] == "a" and found["raw"] == 5 and 0 < found["strength"] <= 1


WRONG = [
    ("POST", "/collections/c/vectors", "no JSON"),
    ("POST", "/collections/c/vectors", "[]"),
    ("POST", "/collections/c/vectors", {}),
    ("POST", "/collections/c/vectors", {"id": "a"}),
    ("POST", "/collections/c/vectors", {"id": 1, "vector": QUERY}),
    ("POST", "/collections/c/vectors", {"id": "", "vector": QUERY}),
    ("POST", "/collections/c/vectors", {"id": "a", "vector": [1, 2]}),
    ("POST", "/collections/c/vectors", {"id": "a", "vector": QUERY, "metadata": [1]}),
    ("POST", "/collections/c/vectors", {"id": "a", "vector": QUERY, "colour": 1}),
    ("POST", "/collections/c/vectors", {"id": "a", "vector": [1e39] * DIM}),
    ("POST", "/collections/c/vectors/batch", {"vectors": []}),
    ("POST", "/collections/c/vectors/batch", {"vectors": [{"id": "a", "vector": QUERY}, {"id": "b"}]}),
    ("POST", "/collections/c/vectors/batch", {"vectors": [{"id": "a", "vector": QUERY}, {"id": "b", "vector": [1]}]}),
    ("POST", "/collections/c/search", {}),
    ("POST", "/collections/c/search", {"vector": [1]}),
    ("POST", "/collections/c/search", {"vector": "text"}),
    ("POST", "/collections/c/search", {"vector": QUERY, "k": 0}),
    ("POST", "/collections/c/search", {"vector": QUERY, "k": -1}),
    ("POST", "/collections/c/search", {"vector": QUERY, "k": 1.5}),
    ("POST", "/collections/c/search", {"vector": QUERY, "ef": 0}),
    ("POST", "/collections/c/search", {"vector": QUERY, "ef": 5, "recall": 0.5}),
    ("POST", "/collections/c/search", {"vector": QUERY, "recall": 2}),
    ("POST", "/collections/c/search", {"vector": QUERY, "radius": -1}),
    ("POST", "/collections/c/search", {"vector": QUERY, "filter": ".n >"}),
    ("POST", "/collections/c/search", {"vector": QUERY, "filter": {"op": "lt"}}),
    ("POST", "/collections/c/search", {"vector": QUERY, "filter": 5}),
    ("POST", "/collections/c/search/batch", {"vectors": []}),
    ("POST", "/collections/c/search/batch", {"vectors": [QUERY, [1]]}),
    ("PUT", "/collections/other", {}),
    ("PUT", "/collections/other", {"dim": 0}),
    ("PUT", "/collections/other", {"dim": 3, "metric": "hamming"}),
    ("PUT", "/collections/other", {"dim": 3, "primitive": "none"}),
    ("PUT", "/collections/other", {"dim": 3, "options": {"COLOUR": 1}}),
    ("POST", "/collections/c/recall", {"vector": [1]}),
    ("POST", "/collections/c/recall", {"vector": QUERY, "id": "a"}),
    ("POST", "/collections/c/recall", {"id": "nobody"}),
    ("POST", "/collections/c/energy", {}),
    ("GET", "/collections/none", None),
    ("DELETE", "/collections/none", None),
    ("GET", "/collections/none/vectors/a", None),
    ("DELETE", "/collections/none/vectors/a", None),
    ("POST", "/collections/none/vectors", {"id": "a", "vector": QUERY}),
    ("POST", "/collections/none/vectors/batch", {"vectors": [{"id": "a", "vector": QUERY}]}),
    ("POST", "/collections/none/search", {"vector": QUERY}),
    ("POST", "/collections/none/search", {"vector": "text"}),
    ("POST", "/collections/none/search/batch", {"vectors": [QUERY]}),
    ("POST", "/collections/none/recall", {"vector": QUERY}),
    ("POST", "/collections/none/energy", {"vector": QUERY}),
    ("GET", "/collections/c/vectors/nobody", None),
    ("DELETE", "/collections/c/vectors/nobody", None),
    ("GET", "/nowhere", None),
    ("PATCH", "/vectors", None),
    ("POST", "/health", None),
]


def test_what_is_wrong_is_told_in_the_words_of_a_single_server(router, client):
    make(router, client, "c", FLAT)
    for request in WRONG:
        answer = same(router, client, *request)
        assert answer.status >= 400 and list(answer.json) == ["error"]
    plain = {"Content-Type": "text/plain"}
    assert same(router, client, "POST", "/vectors", "x", plain).status == 415
    assert same(router, client, "POST", "/vectors", "{}", {"Expect": "wonders"}).status == 417
    assert same(router, client, "GET", "/health", None, {"Origin": "http://evil.example"}).status == 403
    assert same(router, client, "GET", "/collections", None, {"Host": "evil.example"}).status == 403


def test_what_a_router_leaves_to_single_servers_is_refused(router):
    router.expect(201, "PUT", "/collections/c", {**FLAT, "primitive": "hnsw"})
    for method, path, body in (
        ("POST", "/snapshot", None),
        ("GET", "/metrics", None),
        ("GET", "/vectors", None),
        ("GET", "/collections/c/map", None),
        ("POST", "/collections/c/tune", {}),
        ("GET", "/", None),
    ):
        assert f"a router does not carry out {method} " in router.error(501, method, path, body)
    assert router.ask("POST", "/snapshot").reason == "Not Implemented"
    assert "'exact'" in router.error(501, "POST", "/collections/c/search", {"vector": QUERY, "exact": True})
    assert "PARTITIONS 1" in router.error(501, "POST", "/collections/c/recall", {"vector": QUERY, "touch": 1})
    paths = router.expect(200, "GET", "/openapi.json")["paths"]
    assert "/search" in paths and "/snapshot" not in paths and list(paths["/vectors"]) == ["post"]


def close_to(ours, theirs):
    """Whether two answers are the same but for the rounding of numbers."""
    if isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(close_to(ours[name], theirs[name]) for name in theirs)
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(close_to, ours, theirs))
    if isinstance(theirs, float) or isinstance(ours, float):
        return ours == pytest.approx(theirs, rel=1e-4, abs=1e-5)
    return ours == theirs


def test_recalls_are_those_of_one_index(router, client):
    make(router, client, "m", {"dim": DIM, "metric": "l2", "primitive": "hopfield", "options": {"BETA": 4}})
    batch = {"vectors": [{"id": str(i), "vector": v} for i, v in enumerate(vectors(3, 100))]}
    same(router, client, "POST", "/collections/m/vectors/batch", batch)
    for what, body in (
        ("recall", {"vector": QUERY}),
        ("recall", {"vector": PACKED, "top": 3, "options": {"STEPS": 2}}),
        ("recall", {"id": "7", "top": 0}),
        ("recall", {"vector": QUERY, "mask": "0-3", "top": 2}),
        ("energy", {"vector": QUERY}),
        ("energy", {"vector": QUERY, "options": {"BETA": 1}}),
    ):
        ours, theirs = (one.expect(200, "POST", f"/collections/m/{what}", body) for one in (router, client))
        assert close_to(ours, theirs), (body, ours, theirs)
    for option in ("WITHRAW", "WITHTRACE", "COLOUR"):
        refused = router.error(400, "POST", "/collections/m/recall", {"vector": QUERY, "options": {option: 1}})
        assert option in refused
    one = {"dim": 2, "metric": "l2", "primitive": "hopfield", "options": {"PARTITIONS": 1, "BETA": 1}}
    router.expect(201, "PUT", "/collections/one", one)
    router.expect(201, "POST", "/collections/one/vectors", {"id": "a", "vector": [1, 0]})
    assert router.expect(200, "POST", "/collections/one/recall", {"id": "a"})["attractor"] == "a"
    assert router.error(404, "POST", "/collections/one/recall", {"id": "b"}).startswith("index 'one' has no key 'b'")


def test_a_password_is_asked_for(cluster):
    router = http_router(cluster, "--requirepass", "secret")
    assert "a password is needed" in router.error(401, "GET", "/collections")
    assert "a password is needed" in router.error(401, "GET", "/collections", None, {"api-key": "wrong"})
    router.expect(200, "GET", "/collections", None, {"Authorization": "Bearer secret"})
    router.expect(200, "GET", "/collections", None, {"api-key": "secret"})
    assert router.expect(200, "GET", "/health")["status"] == "ok"


def test_bodies_are_bounded_and_what_is_refused_is_heard_out(strict_router):
    router = strict_router
    assert router.ask("POST", "/vectors", "x" * 5000).status == 413
    router = Http(router.server, router.port)
    # The rest of a large body comes after the refusal, and does not cost the client the answer.
    answer = router.raw(b"POST /vectors HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 4_000_000)
    assert answer.startswith("HTTP/1.1 413 ") and "Connection: close" in answer
    assert "HTTP/1.1 431 " in router.raw("GET / HTTP/1.1\r\nX: " + "x" * 20_000)


@pytest.mark.long
def test_a_refused_client_that_goes_on_sending_is_hung_up_on(strict_router):
    with socket.create_connection(("127.0.0.1", strict_router.port), timeout=live.PATIENCE_SECONDS) as peer:
        peer.sendall(b"POST /vectors HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n")
        assert peer.recv(100).startswith(b"HTTP/1.1 413 ")

        def is_hung_up_on():
            try:
                peer.sendall(b"x" * 1000)
            except OSError:
                return True
            return False

        live.wait_until(is_hung_up_on, "the connection ends")


def test_requests_may_be_pipelined_chunked_and_invited(router):
    get = "GET /collections HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {}\r\n\r\n"
    answer = router.raw("".join(get.format(i) for i in range(20)))
    assert answer.count("HTTP/1.1 200 OK") == 20
    at = [answer.index(f"X-Request-Id: {i}\r\n") for i in range(20)]
    assert at == sorted(at)
    chunked = (
        "POST /vectors HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n"
        '\r\nf\r\n{"id": "a", "ve\r\n10\r\nctor": [1, 2,3]}\r\n0\r\n\r\n'
    )
    answer = router.raw(chunked)
    assert answer.startswith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n")
    answer = router.raw("GET /health HTTP/1.0\r\n\r\n", wait=False)
    assert answer.startswith("HTTP/1.1 200 OK") and "Connection: close" in answer


def test_half_a_head_and_silence_are_dropped_after_a_while(strict_router):
    for beginning in ("GET /health HTTP/1.1\r\nHost:", ""):
        assert strict_router.raw(beginning, wait=False) == ""


def test_missing_partitions_are_named(tmp_path):
    with Cluster(tmp_path / "cluster", masters=3) as cluster:
        router = http_router(cluster, timeout_ms=2000)
        router.expect(201, "PUT", "/collections/c", {**FLAT, "options": {"PARTITIONS": PARTITIONS}})
        batch = list(items(4, 200))
        router.expect(201, "POST", "/collections/c/vectors/batch", {"vectors": batch})
        search = {"vector": QUERY, "k": 200}
        whole = router.expect(200, "POST", "/collections/c/search", search)["results"]
        home = cluster.owner_of(cluster.slot_of("c:{c}:meta"))
        victim = next(node for node in cluster.masters if node is not home)
        lost = [key for key, node in cluster.partitions("c").items() if node is victim]
        victim.kill()
        sentence = f"{len(lost)} of {PARTITIONS} partitions of index 'c' did not answer: "
        answer = router.ask("POST", "/collections/c/search", search)
        assert answer.status == 503 and answer.getheader("Retry-After") == "1"
        assert answer.json["error"].startswith(sentence) and str(victim.port) in answer.json["error"]
        assert router.error(503, "GET", "/collections/c").startswith(sentence)
        put = router.error(503, "POST", "/collections/c/vectors/batch", {"vectors": batch})
        assert put.startswith(sentence) and "the write may be done" in put
        told = router.expect(200, "POST", "/collections/c/search", {**search, "partial": True})
        assert (told["ok"], told["total"]) == (PARTITIONS - len(lost), PARTITIONS)
        left = {found["id"] for found in told["results"]}
        assert 0 < len(left) < 200 and told["results"] == [found for found in whole if found["id"] in left]
        answers = {item["id"]: router.ask("GET", f"/collections/c/vectors/{quoted(item['id'])}").status for item in batch}
        assert {key for key, status in answers.items() if status == 200} == left
        assert set(answers.values()) == {200, 503}


def quoted(text):
    return "".join(f"%{byte:02X}" for byte in text.encode())


def test_what_is_written_while_an_index_grows_is_noted(router, cluster):
    router.expect(201, "PUT", "/collections/g", {**FLAT, "options": {"PARTITIONS": 2}})
    home = cluster.owner_of(cluster.slot_of("g"))
    layout = home.call("GET", "g:{g}:meta").decode().replace("state ready", "grown 1 state growing")
    home.call("SET", "g:{g}:meta", layout)
    fresh = http_router(cluster)
    described = [{"id": f"m{i}", "vector": [i] * DIM, "metadata": {"n": i}} for i in range(20)]
    plain = [{"id": f"p{i}", "vector": [i] * DIM} for i in range(20)]
    for batch in (described, plain):
        assert fresh.expect(201, "POST", "/collections/g/vectors/batch", {"vectors": batch})["created"] == 20
    assert fresh.ask("DELETE", "/collections/g/vectors/m3").status == 200
    notes = [(node, key) for node in cluster.masters for key in node.call("KEYS", "g:{*:written")]
    noted = {name for node, key in notes for name in node.call("SMEMBERS", key)}
    assert noted == {item["id"].encode() for item in described + plain}
