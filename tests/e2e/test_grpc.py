# SPDX-License-Identifier: Apache-2.0
"""The gRPC door, by Python's client with stubs that protoc makes of the server's own file."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

import live
from conftest import ROOT

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
