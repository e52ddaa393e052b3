# SPDX-License-Identifier: Apache-2.0
"""The gRPC door, by Python's client with stubs that protoc makes of the server's own file."""

import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import urllib.request

import pytest

import live
from conftest import ROOT
from test_access import foreign_address
from wire import pack

if os.environ.get("ENGRAM_GRPC") == "no":
    pytest.skip("this build has no gRPC", allow_module_level=True)
import grpc  # noqa: E402: not there, perhaps, where the build has no gRPC

PLUGIN = shutil.which("grpc_python_plugin")

REFLECTION = """syntax = "proto3"; package grpc.reflection.v1alpha;
service ServerReflection { rpc ServerReflectionInfo(stream Ask) returns (stream Answer); }
message Ask { string list_services = 7; }
message Answer { List list_services_response = 6; }
message List { repeated Name service = 1; }
message Name { string name = 1; }
"""
HEALTH = """syntax = "proto3"; package grpc.health.v1;
service Health { rpc Check(Ask) returns (Answer); }
message Ask { string service = 1; }
message Answer { int32 status = 1; }
"""


@pytest.fixture(scope="module")
def stubs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stubs")
    shutil.copy(ROOT / "server/doors/grpc/engram.proto", folder)
    (folder / "reflection.proto").write_text(REFLECTION)
    (folder / "health.proto").write_text(HEALTH)
    subprocess.run(
        ["protoc", f"--proto_path={folder}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
        + [f"--plugin=protoc-gen-grpc_python={PLUGIN}", "engram.proto", "reflection.proto", "health.proto"],
        check=True,
    )
    sys.path.insert(0, str(folder))
    import engram_pb2
    import engram_pb2_grpc
    import health_pb2
    import health_pb2_grpc
    import reflection_pb2
    import reflection_pb2_grpc

    yield engram_pb2, engram_pb2_grpc, health_pb2, health_pb2_grpc, reflection_pb2, reflection_pb2_grpc
    sys.path.remove(str(folder))


class Client:
    def __init__(self, server, port, stubs, host="127.0.0.1"):
        self.server = server
        self.channel = grpc.insecure_channel(f"{host}:{port}")
        grpc.channel_ready_future(self.channel).result(timeout=live.PATIENCE_SECONDS)
        self.engram = stubs[1].EngramStub(self.channel)
        self.ids = stubs[1].VectorStoreStub(self.channel)


@pytest.fixture
def serve(start, stubs):
    clients = []

    def begin(*flags):
        port = live.free_port()
        clients.append(Client(start("--grpc-port", port, *flags), port, stubs))
        return clients[-1]

    yield begin
    for client in clients:
        client.channel.close()


def refused(status, call, *arguments, **options):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    assert caught.value.code() == status, caught.value
    return caught.value.details()


def item(pb, key, vector, **fields):
    return pb.Item(key=key, vector=vector, **fields)


def test_every_method(serve, stubs):
    pb, client = stubs[0], serve()
    engram = client.engram
    made = engram.CreateCollection(
        pb.CreateCollectionRequest(name="c", dim=2, options={"METRIC": "l2", "PRIMITIVE": "flat"})
    )
    assert (made.name, made.dim, made.metric, made.primitive) == ("c", 2, "l2", "flat")
    items = [item(pb, b"a\xff", [1, 0], metadata='{"year":1999}'), item(pb, b"b", [0, 2])]
    assert engram.Put(pb.PutRequest(collection="c", items=items)).created == 2
    assert engram.Put(pb.PutRequest(collection="c", items=items[:1])).created == 0
    got = engram.Get(pb.KeyRequest(collection="c", key=b"a\xff"))
    assert list(got.vector) == [1, 0] and got.metadata == '{"year":1999}'
    search = pb.SearchRequest(collection="c", vector=[1, 0], k=2, with_metadata=True)
    found = engram.Search(search).matches
    assert [match.key for match in found] == [b"a\xff", b"b"] and found[0].distance == 0
    assert found[0].metadata == '{"year":1999}' and not found[1].HasField("metadata")
    search.filter = ".year > 2000"
    assert not engram.Search(search).matches
    recalled = engram.Recall(pb.RecallRequest(collection="c", vector=[1, 0.1], options={"BETA": "50"}))
    assert recalled.attractor.key == b"a\xff" and len(recalled.state) == 2
    assert [c.count for c in engram.ListCollections(pb.Empty()).collections] == [2]
    told = engram.DescribeCollection(pb.CollectionRequest(name="c"))
    assert told.count == 2 and told.info["primitive"] == "flat"
    engram.Delete(pb.KeyRequest(collection="c", key=b"b"))
    puts = [pb.PutRequest(collection="c", items=[item(pb, b"%d" % i, [i, i])]) for i in range(500)]
    assert [answer.created for answer in engram.PutStream(iter(puts))] == [1] * 500
    queries = [pb.SearchRequest(collection="c", vector=[i, i], k=1) for i in range(500)]
    answers = [answer.matches[0].key for answer in engram.SearchStream(iter(queries))]
    assert answers == [b"%d" % i for i in range(500)]
    engram.DropCollection(pb.CollectionRequest(name="c"))
    assert not engram.ListCollections(pb.Empty()).collections


def test_ids_go_to_the_default_collection(serve, stubs):
    pb, client = stubs[0], serve()
    client.ids.Put(pb.IdVector(id=100, vector=[0.1, 0.2, 0.3]))
    client.ids.Put(pb.IdVector(id=4294967295, vector=[0.3, 0.2, 0.1]))
    found = client.ids.Search(pb.IdSearchRequest(vector=[0.1, 0.2, 0.3], k=3)).matches
    assert [match.id for match in found] == [100, 4294967295]
    with client.server.redis() as redis:
        assert redis.execute_command("VGET", "default", "100") is not None
    told = live.run_engram("client", "put", "--port", client.server.port, "--id", 7, "--vector", "-1,0,1")
    assert told.stdout == "inserted 7\n"
    found = client.ids.Search(pb.IdSearchRequest(vector=[-1, 0, 1], k=1)).matches
    assert [match.id for match in found] == [7]


def test_statuses(serve, stubs):
    pb, client = stubs[0], serve()
    engram, code = client.engram, grpc.StatusCode
    create = pb.CreateCollectionRequest(name="c", dim=2)
    engram.CreateCollection(create)
    refused(code.ALREADY_EXISTS, engram.CreateCollection, create)
    refused(code.INVALID_ARGUMENT, engram.CreateCollection, pb.CreateCollectionRequest(name="d"))
    refused(code.INVALID_ARGUMENT, engram.Put, pb.PutRequest(collection="c"))
    wrong = pb.PutRequest(collection="c", items=[item(pb, b"x", [1, 2]), item(pb, b"y", [1])])
    refused(code.INVALID_ARGUMENT, engram.Put, wrong)
    refused(code.NOT_FOUND, engram.Get, pb.KeyRequest(collection="c", key=b"x"))
    refused(code.NOT_FOUND, engram.Delete, pb.KeyRequest(collection="c", key=b"x"))
    refused(code.NOT_FOUND, engram.Search, pb.SearchRequest(collection="none", vector=[1, 2]))
    refused(code.NOT_FOUND, engram.DropCollection, pb.CollectionRequest(name="none"))
    unless = pb.PutRequest(
        collection="c", items=[item(pb, b"x", [1, 2])], options={"UNLESS": "WITHIN 0.1"}
    )
    refused(code.UNIMPLEMENTED, engram.Put, unless)
    with client.server.redis() as redis:
        redis.set("text", "s")
        refused(code.FAILED_PRECONDITION, engram.Search, pb.SearchRequest(collection="text", vector=[1]))
        redis.config_set("maxmemory", 1)
    good = pb.PutRequest(collection="c", items=[item(pb, b"x", [1, 2])])
    refused(code.RESOURCE_EXHAUSTED, engram.Put, good)
    nothing = client.channel.unary_unary("/engram.v1.Engram/Nothing")
    refused(code.UNIMPLEMENTED, nothing, b"")
    garbled = client.channel.unary_unary("/engram.v1.Engram/Put")
    refused(code.INVALID_ARGUMENT, garbled, b"\xff\xff")


def test_what_cannot_be_kept_is_unavailable_and_reads_go_on(tmp_path, stubs):
    pb, code, port = stubs[0], grpc.StatusCode, live.free_port()
    server = live.SmallDisk(tmp_path / "server", "--grpc-port", port)
    try:
        client = Client(server, port, stubs)
        engram = client.engram
        engram.Put(pb.PutRequest(items=[item(pb, b"a", [1, 2])]))
        server.limit(os.path.getsize(next(server.folder.glob("journal-*.log"))))
        big = pb.PutRequest(items=[item(pb, b"b", [1, 2], metadata='{"a":"' + "x" * 10_000 + '"}')])
        for _ in range(2):
            assert "Errors writing to the journal" in refused(code.UNAVAILABLE, engram.Put, big)
        refused(code.UNAVAILABLE, engram.CreateCollection, pb.CreateCollectionRequest(name="c", dim=2))
        refused(code.UNAVAILABLE, engram.DropCollection, pb.CollectionRequest())
        refused(code.UNAVAILABLE, engram.Delete, pb.KeyRequest(key=b"a"))
        refused(code.UNAVAILABLE, client.ids.Put, pb.IdVector(id=1, vector=[1, 2]))
        with pytest.raises(grpc.RpcError) as caught:
            next(engram.PutStream(iter([big])))
        assert caught.value.code() == code.UNAVAILABLE
        assert list(engram.Get(pb.KeyRequest(key=b"a")).vector) == [1, 2]
        assert b"a" in [match.key for match in engram.Search(pb.SearchRequest(vector=[1, 2])).matches]
        client.channel.close()
    finally:
        server.process.kill()
        server.wait()


def test_calls_under_way_when_the_server_ends_are_unavailable(serve, stubs):
    pb, client = stubs[0], serve()
    client.engram.Put(pb.PutRequest(items=[item(pb, b"a", [1, 2])]))
    asked = queue.Queue()
    asked.put(pb.SearchRequest(vector=[1, 2]))
    answers = client.engram.SearchStream(iter(asked.get, None))
    assert next(answers).matches[0].key == b"a"
    client.server.send_signal(signal.SIGTERM)
    with pytest.raises(grpc.RpcError) as caught:
        next(answers)
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert caught.value.details() == "the server ends"
    asked.put(None)


def test_a_damaged_collection_is_data_loss_and_others_are_whole(start, reopen, stubs):
    pb, server = stubs[0], start()
    with server.wire() as wire:
        for name in ("bad", "good"):
            wire.call("VNEW", name, 2, "METRIC", "l2")
            wire.call("VMADD", name, "a", pack(123.5, 1), "b", pack(3, 4))
        assert wire.call("VSAVE") == "OK"
        verified = b"snapshot_verification:verified"  # what it was made of is not kept any longer
        live.wait_until(lambda: verified in wire.call("INFO", "persistence"), "it is verified")
    server.end()
    snapshot = server.folder / "snapshot.engram"
    content = bytearray(snapshot.read_bytes())
    content[content.index(pack(123.5, 1))] ^= 1  # of the collection that was made first
    snapshot.write_bytes(content)
    port = live.free_port()
    client = Client(reopen(server, "--grpc-port", port), port, stubs)
    lost, engram = grpc.StatusCode.DATA_LOSS, client.engram
    with contextlib.closing(client.channel):
        told = refused(lost, engram.Search, pb.SearchRequest(collection="bad", vector=[1, 2]))
        assert "'bad'" in told and "damaged" in told
        refused(lost, engram.Recall, pb.RecallRequest(collection="bad", vector=[1, 2]))
        refused(lost, engram.Get, pb.KeyRequest(collection="bad", key=b"b"))
        refused(lost, engram.Put, pb.PutRequest(collection="bad", items=[item(pb, b"c", [1, 2])]))
        refused(lost, engram.Delete, pb.KeyRequest(collection="bad", key=b"b"))
        refused(lost, engram.DescribeCollection, pb.CollectionRequest(name="bad"))
        listed = {c.name: c.error for c in engram.ListCollections(pb.Empty()).collections}
        assert "damaged" in listed["bad"] and listed["good"] == ""
        found = engram.Search(pb.SearchRequest(collection="good", vector=[3, 4], k=1)).matches
        assert [match.key for match in found] == [b"b"]
        engram.DropCollection(pb.CollectionRequest(name="bad"))
        refused(grpc.StatusCode.NOT_FOUND, engram.Get, pb.KeyRequest(collection="bad", key=b"b"))


def test_protected_mode_denies_strangers(start, stubs):
    host, port, pb = foreign_address(), live.free_port(), stubs[0]
    server = start("--grpc-port", port, "--grpc-bind", f"127.0.0.1 {host}")
    stranger, local = Client(server, port, stubs, host=host), Client(server, port, stubs)
    with contextlib.closing(stranger.channel), contextlib.closing(local.channel):
        told = refused(grpc.StatusCode.PERMISSION_DENIED, stranger.engram.ListCollections, pb.Empty())
        assert "protected mode" in told
        assert not local.engram.ListCollections(pb.Empty()).collections
        with server.redis() as redis:
            redis.config_set("requirepass", "secret")
            refused(grpc.StatusCode.UNAUTHENTICATED, stranger.engram.ListCollections, pb.Empty())
            secret = [("authorization", "Bearer secret")]
            assert not stranger.engram.ListCollections(pb.Empty(), metadata=secret).collections


def test_the_first_error_ends_a_stream(serve, stubs):
    pb, client = stubs[0], serve()
    puts = [pb.PutRequest(items=[item(pb, b"%d" % i, [1, 2] if i != 5 else [1])]) for i in range(10)]
    answers = []
    with pytest.raises(grpc.RpcError) as caught:
        answers.extend(answer.created for answer in client.engram.PutStream(iter(puts)))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert answers == [1] * 5
    with client.server.redis() as redis:
        assert all(redis.execute_command("VGET", "default", str(i)) for i in range(5))


def test_a_client_that_does_not_read_is_not_read(serve, stubs):
    """Each answer has 2 MB, of which few may wait."""
    pb, client = stubs[0], serve()
    text = '{"a":"' + "x" * 20_000 + '"}'
    items = [item(pb, b"%d" % i, [1, i], metadata=text) for i in range(100)]
    client.engram.Put(pb.PutRequest(items=items))
    before = client.server.resident_bytes()
    query = pb.SearchRequest(vector=[1, 0], k=100, with_metadata=True)
    call = client.engram.SearchStream(iter([query] * 1000))
    next(call)
    live.wait_until_steady(client.server.resident_bytes, 1_000_000)
    assert client.server.resident_bytes() - before < 200_000_000  # of 2 GB
    call.cancel()


def test_what_is_too_large_or_compressed_is_refused(serve, stubs):
    pb, client = stubs[0], serve()
    put = pb.PutRequest(items=[item(pb, b"a", [1], metadata='{"a":"' + "x" * 34_000_000 + '"}')])
    refused(grpc.StatusCode.RESOURCE_EXHAUSTED, client.engram.Put, put)
    refused(grpc.StatusCode.UNIMPLEMENTED, client.engram.Put, put, compression=grpc.Compression.Gzip)


def test_names_that_are_no_text_spoil_no_list(serve, stubs):
    pb, client = stubs[0], serve()
    with client.server.redis() as redis:
        for name in (b"\xff\xfe", b"text"):
            redis.execute_command("VNEW", name, 2)
    told = client.engram.ListCollections(pb.Empty()).collections
    assert sorted((c.name, bool(c.error)) for c in told) == [("", True), ("text", False)]


def test_an_address_of_version_6(start, stubs):
    port = live.free_port()
    client = Client(start("--grpc-port", port, "--grpc-bind", "::1"), port, stubs, host="[::1]")
    assert not client.engram.ListCollections(stubs[0].Empty()).collections
    client.channel.close()


def test_a_password_and_large_messages(serve, stubs):
    pb, client = stubs[0], serve("--requirepass", "open sesame")
    put = pb.PutRequest(items=[item(pb, b"%d" % i, [float(i + j + 1) for j in range(512)]) for i in range(4000)])
    refused(grpc.StatusCode.UNAUTHENTICATED, client.engram.Put, put)
    for wrong in ("Bearer x", "open sesame"):
        refused(grpc.StatusCode.UNAUTHENTICATED, client.engram.Put, put, metadata=[("authorization", wrong)])
    told = [("authorization", "Bearer open sesame")]
    assert client.engram.Put(put, metadata=told).created == 4000  # 8 MB


def test_a_deadline_ends_what_was_asked(serve, stubs):
    pb, client = stubs[0], serve()
    count = 200_000
    client.engram.Put(
        pb.PutRequest(items=[item(pb, b"%d" % i, [float(i % 7 + 1), float(i % 11)]) for i in range(1000)])
    )
    with client.server.redis() as redis:
        before = redis.info("stats")["total_commands_processed"]
        queries = (pb.SearchRequest(vector=[1, 2], k=1, exact=True) for _ in range(count))
        with pytest.raises(grpc.RpcError) as caught:
            for _ in client.engram.SearchStream(queries, timeout=0.3):
                pass
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED

        def rests():
            first = redis.info("stats")["total_commands_processed"]
            return redis.info("stats")["total_commands_processed"] - first <= 1

        live.wait_until(rests, "nothing more is searched")
        assert redis.info("stats")["total_commands_processed"] - before < count


class Slow:
    """A collection by which a recall takes thousands of steps: at this BETA they become shorter and shorter, and
    none is 0."""

    def __init__(self, serve, pb, *flags):
        self.http_port = live.free_port()
        self.client = serve("--http-port", self.http_port, *flags)
        self.engram = self.client.engram
        options = {"PRIMITIVE": "flat", "METRIC": "dot"}
        self.engram.CreateCollection(pb.CreateCollectionRequest(name="slow", dim=8, options=options))
        items = [item(pb, b"%d" % i, [(-1) ** i] + [0] * 7) for i in range(50_000)]
        self.engram.Put(pb.PutRequest(collection="slow", items=items))
        cue, steps = [0.5] + [0] * 7, {"BETA": "1", "STEPS": "10000", "TOL": "0", "TOP": "1"}
        self.recall = pb.RecallRequest(collection="slow", vector=cue, options=steps)
        self.search = pb.SearchRequest(collection="slow", vector=cue, k=1)

    def occupy_every_thread(self):
        """Recalls that hold the workers and all their reserves: until then a search is answered."""
        calls = [self.engram.Recall.future(self.recall) for _ in range(20)]

        def is_held_up():
            try:
                self.engram.Search(self.search, timeout=0.5)
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
                return True
            return False

        live.wait_until(is_held_up, "no thread is free")
        return calls

    def times(self, work):
        """How many of them a worker has begun and ended."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}/metrics", timeout=live.PATIENCE_SECONDS) as told:
            text = told.read().decode()
        found = re.search(rf'engram_{work}_duration_seconds_count\{{index="slow".*?\}} (\d+)', text)
        return int(found.group(1)) if found else 0


def test_a_deadline_ends_a_recall_under_way(serve, stubs):
    slow = Slow(serve, stubs[0], "--workers", 2)
    beside = slow.engram.Recall.future(slow.recall)
    refused(grpc.StatusCode.DEADLINE_EXCEEDED, slow.engram.Recall, slow.recall, timeout=1)
    live.wait_until(lambda: slow.times("recall") == 1, "one of the two has ended")
    slow.engram.ListCollections(stubs[0].Empty())  # an answer to the other would be here before this one's
    assert not beside.done(), "it went on as long as one without a deadline"
    beside.cancel()
    live.wait_until(lambda: slow.times("recall") == 2, "the other has ended")


def test_what_waits_beyond_its_deadline_is_not_begun(serve, stubs):
    slow = Slow(serve, stubs[0], "--workers", 1)
    calls = slow.occupy_every_thread()
    begun = slow.times("search")
    refused(grpc.StatusCode.DEADLINE_EXCEEDED, slow.engram.Search, slow.search, timeout=0.2)
    for call in calls:
        call.cancel()
    for count in (1, 2):
        assert len(slow.engram.Search(slow.search).matches) == 1
        assert slow.times("search") == begun + count


def test_metrics_are_told_while_every_thread_is_at_work(serve, stubs):
    slow = Slow(serve, stubs[0], "--workers", 1)
    calls = slow.occupy_every_thread()
    assert slow.times("recall") == 0
    for call in calls:
        call.cancel()


def test_what_was_answered_survives_a_kill(serve, stubs, reopen):
    pb, client = stubs[0], serve("--fsync", "always")
    for i in range(50):
        client.engram.Put(pb.PutRequest(items=[item(pb, b"%d" % i, [1, i])]))
    client.server.send_signal(signal.SIGKILL)
    client.server.wait()
    with reopen(client.server).redis() as redis:
        assert all(redis.execute_command("VGET", "default", str(i)) for i in range(50))


def test_health_and_reflection(serve, stubs):
    client = serve()
    health = stubs[3].HealthStub(client.channel)
    assert health.Check(stubs[2].Ask()).status == 1
    reflection = stubs[5].ServerReflectionStub(client.channel)
    answer = next(reflection.ServerReflectionInfo(iter([stubs[4].Ask(list_services="*")])))
    names = {service.name for service in answer.list_services_response.service}
    assert {"engram.v1.Engram", "engram.v1.VectorStore", "grpc.health.v1.Health"} <= names
