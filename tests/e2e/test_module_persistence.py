# SPDX-License-Identifier: Apache-2.0
"""Indexes of the module in RDB and AOF, and values that were damaged."""

import json
import random
import struct
import threading

import pytest

import live
from module_scripts import DIM, EAST, NEEDS_MODULE, PRIMITIVES, answers, fill, options_of, vector
from wire import ErrorReply

pytestmark = NEEDS_MODULE
AOF = ("--appendonly", "yes")


def fill_all(client):
    """One index of each kind, with attributes and strengths."""
    rng = random.Random(11)
    for name in PRIMITIVES:
        client.call("VNEW", name, DIM, *options_of(name))
        fill(client, name, rng)
    client.call("VNEW", "fading", DIM, "PRIMITIVE", "flat", "DECAY", "exp", 3_600_000, "OMEGA", 0.5)
    for i in range(50):
        client.call("VADD", "fading", f"k{i}", vector(rng), "SETATTR", json.dumps({"n": i}))
        client.call("VTOUCH", "fading", f"k{i % 7}")
    client.call("VADD", "set", "VALUES", 2, 1, 0, "a", "SETATTR", '{"x":1}')
    client.call("VTUNE", "hopfield", "SAMPLE", 20, "SEED", 5)


def all_answers(client):
    query = vector(random.Random(1))
    fading = client.call_raw("VSEARCH", "fading", query, 9, "AT", 2_000_000_000_000)
    filtered = client.call_raw(
        "VSEARCH", "fading", query, 9, "FILTER", ".n < 9", "AT", 2_000_000_000_000
    )
    strengths = [
        client.call_raw("VSTRENGTH", "fading", f"k{i}", "AT", 2_000_000_000_000) for i in range(9)
    ]
    kinds = [answer for name in PRIMITIVES for answer in answers(client, name)]
    return [fading, filtered, *strengths, *kinds]


def check_restart(start_host, flags, prepare):
    host = start_host(*flags)
    with host.wire() as client:
        fill_all(client)
        before = all_answers(client)
        prepare(host, client)
    host.process.kill()
    host.process.wait()
    again = start_host(*flags, folder=host.folder)
    with again.wire() as client:
        assert all_answers(client) == before
        rng = random.Random(12)
        assert client.call("VADD", "hnsw", "later", vector(rng)) == 1


def test_save_and_kill(start_host):
    check_restart(start_host, (), lambda _, client: client.call("SAVE"))


def test_bgsave_and_kill(start_host):
    def save(_, client):
        client.call("BGSAVE")
        live.wait_until(
            lambda: b"rdb_bgsave_in_progress:0" in client.call("INFO", "persistence"), "it is saved"
        )
        assert b"rdb_last_bgsave_status:ok" in client.call("INFO", "persistence")

    check_restart(start_host, (), save)


def rewritten(_, client):
    client.call("BGREWRITEAOF")
    live.wait_until(
        lambda: b"aof_rewrite_in_progress:0" in (info := client.call("INFO", "persistence"))
        and b"aof_rewrite_scheduled:0" in info,
        "the AOF is rewritten",
    )
    assert b"aof_last_bgrewrite_status:ok" in client.call("INFO", "persistence")


@pytest.mark.parametrize("preamble", ["yes", "no"])
def test_aof_rewritten(start_host, preamble):
    flags = (*AOF, "--aof-use-rdb-preamble", preamble)
    check_restart(start_host, flags, rewritten)


def test_aof_as_it_grew(start_host):
    check_restart(start_host, AOF, lambda *_: None)


def test_dump_is_restored(start_host):
    host = start_host()
    with host.wire() as client:
        fill_all(client)
        before = all_answers(client)
        for name in (*PRIMITIVES, "fading"):
            payload = client.call("DUMP", name)
            assert client.call("DEL", name) == 1
            assert client.call("RESTORE", name, 0, payload) == "OK"
            assert client.call("DUMP", name) == payload
        assert all_answers(client) == before


def table_of(polynomial):
    """Of a reflected checksum."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (polynomial if byte & 1 else 0)
        table.append(byte)
    return table


CRC64_TABLE = table_of(0x95AC9329AC4BC9B5)
CRC32C_TABLE = table_of(0x82F63B78)


def with_checksum(payload):
    """A damaged payload whose checksum, its last eight bytes, the host takes for right."""
    body, crc = payload[:-8], 0
    for byte in body:
        crc = CRC64_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return body + struct.pack("<Q", crc)


def damaged(payload, rng):
    """Of what lies between the head and the footer, some is changed, or gone, or there twice."""
    body = bytearray(payload[:-10])
    kind = rng.randrange(4)
    at = rng.randrange(1, len(body))
    if kind == 0:
        body[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        body[at : at + rng.randrange(1, 9)] = rng.randbytes(rng.randrange(1, 9))
    elif kind == 2:
        del body[at : at + rng.randrange(1, 200)]
    else:
        body[at:at] = body[at : at + rng.randrange(1, 200)]
    return bytes(body) + payload[-10:-8] + bytes(8)


def make_small_indexes(client):
    """Their payloads by name."""
    rng = random.Random(9)
    for name in PRIMITIVES:
        client.call("VNEW", name, 4, *options_of(name))
        for i in range(10):
            row = struct.pack("<4f", *(rng.choice((-1, 1)) for _ in range(4)))
            client.call("VADD", name, f"k{i}", row)
    client.call("VNEW", "fading", 2, "PRIMITIVE", "flat", "DECAY", "exp", 1000)
    client.call("VADD", "fading", "a", EAST, "SETATTR", '{"a":1}')
    return {name: client.call("DUMP", name) for name in (*PRIMITIVES, "fading")}


def check_damage(host, count, seed):
    rng = random.Random(seed)
    print("seed", seed)
    with host.wire() as client:
        payloads = make_small_indexes(client)
        digests = {name: client.call("DEBUG", "DIGEST-VALUE", name) for name in payloads}
        for _ in range(count):
            name, payload = rng.choice(list(payloads.items()))
            spoilt = with_checksum(damaged(payload, rng))
            if spoilt[:-8] == payload[:-8]:
                continue
            answer = client.call("RESTORE", "new", 0, spoilt)
            if answer == "OK":  # the host compresses: other bytes, which mean the same
                assert client.call("DEBUG", "DIGEST-VALUE", "new") == digests[name]
                client.call("DEL", "new")
            else:
                assert isinstance(answer, ErrorReply), name
        for name, payload in payloads.items():
            assert client.call("DUMP", name) == payload


def test_damaged_payloads_are_refused(start_host):
    check_damage(start_host(), 100, random.randrange(1 << 32))


@pytest.mark.long
@pytest.mark.parametrize("compression", ["yes", "no"])
def test_many_damaged_payloads_are_refused(start_host, compression):
    host = start_host("--rdbcompression", compression)
    check_damage(host, 2000, random.randrange(1 << 32))


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC32C_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return struct.pack("<I", crc ^ 0xFFFFFFFF)


HEAD = 10  # of a payload: its kind, and which type of which module it is
CHUNK_FOLLOWS, NO_CHUNK_FOLLOWS = b"\x02\x01\x05", b"\x02\0\0"


def with_length(data):
    """As the host writes a string."""
    if len(data) < 1 << 6:
        return bytes([len(data)]) + data
    if len(data) < 1 << 14:
        return struct.pack(">H", 0x4000 | len(data)) + data
    return b"\x80" + struct.pack(">I", len(data)) + data


def without_length(data):
    kind = data[0] >> 6
    if kind == 0:
        return data[1 : 1 + data[0]]
    if kind == 1:
        return data[2 : 2 + (struct.unpack(">H", data[:2])[0] & 0x3FFF)]
    return data[5 : 5 + struct.unpack(">I", data[1:5])[0]]


def parts_of(payload):
    """The creation and the sections of an index of one chunk, as it is without compression."""
    assert payload[HEAD:].startswith(CHUNK_FOLLOWS)
    stream = without_length(payload[HEAD + len(CHUNK_FOLLOWS) :])

    def number(at):
        return struct.unpack_from("<I", stream, at)[0]

    at = 9 + number(5)
    creation = stream[9:at]
    sections, at = {}, at + 4
    while stream[at]:
        name = stream[at + 1 : at + 1 + stream[at]]
        at += 1 + stream[at]
        sections[name] = b""
        while size := number(at):
            sections[name] += stream[at + 4 : at + 4 + size]
            at += 4 + size
        at += 8
    return creation, sections


def stream_of(creation, sections):
    """What a value is saved as, with every checksum right."""
    stream = b"EGRM\x01" + struct.pack("<I", len(creation)) + creation
    stream += crc32c(stream)
    for name, data in sections.items():
        stream += bytes([len(name)]) + name
        if data:
            stream += struct.pack("<I", len(data)) + data
        stream += bytes(4) + crc32c(name + data)
    return stream + b"\0"


def payload_of(payload, creation, sections):
    stream = stream_of(creation, sections)
    value = CHUNK_FOLLOWS + with_length(stream) + NO_CHUNK_FOLLOWS
    return with_checksum(payload[:HEAD] + value + payload[-10:-8] + bytes(8))


def check_damage_behind_checksums(host, count, seed):
    """What is damaged may be a sound index of other content; it must not harm the host."""
    rng = random.Random(seed)
    print("seed", seed)
    with host.wire() as client:
        payloads = make_small_indexes(client)
        refused = 0
        for _ in range(count):
            name, payload = rng.choice(list(payloads.items()))
            creation, sections = parts_of(payload)
            assert payload_of(payload, creation, sections) == payload
            if rng.randrange(4) == 0:
                creation = damaged_part(creation, rng)
            else:
                section = rng.choice(list(sections))
                sections[section] = damaged_part(sections[section], rng)
            answer = client.call("RESTORE", "new", 0, payload_of(payload, creation, sections))
            if answer == "OK":
                client.call("VSEARCH", "new", bytes(16), 3)
                client.call("VRECALL", "new", "VEC", struct.pack("<4f", 1, 1, -1, 1))
                client.call("VADD", "new", "k1", struct.pack("<4f", 1, 1, -1, 1))
                client.call("VDEL", "new", "k2")
                client.call("DUMP", "new")
                client.call("DEL", "new")
            else:
                assert isinstance(answer, ErrorReply), name
                refused += 1
        assert refused > 0
        for name, payload in payloads.items():
            assert client.call("DUMP", name) == payload


def damaged_part(data, rng):
    data = bytearray(data or b"\0")
    at = rng.randrange(len(data))
    kind = rng.randrange(3)
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        data[at : at + 8] = rng.randbytes(8)
    else:
        del data[at : at + rng.randrange(1, 64)]
    return bytes(data)


def test_marks_and_types_are_checked(start_host):
    host = start_host("--rdbcompression", "no")
    with host.wire() as client:
        client.call("VNEW", "i", 2, "PRIMITIVE", "flat")
        client.call("VADD", "i", "a", EAST)
        payload = client.call("DUMP", "i")
        creation, sections = parts_of(payload)
        stream = stream_of(creation, sections)
        value = CHUNK_FOLLOWS + with_length(stream)
        for end, answer in ((NO_CHUNK_FOLLOWS, "OK"), (b"\x02\x02" + NO_CHUNK_FOLLOWS[2:], "ERR ")):
            whole = with_checksum(payload[:HEAD] + value + end + payload[-10:-8] + bytes(8))
            assert client.call("RESTORE", answer, 0, whole).startswith(answer)
        client.call("SET", "s", "x")
        for key, answer in (("s", "ERR the key holds another type"), ("i", "OK"), ("other", "OK")):
            assert client.call("ENGRAM.LOAD", key, 0, stream) == "OK"
            assert client.call("ENGRAM.LOAD", key, 1, b"").startswith(answer)
        assert client.call("GET", "s") == b"x"
        assert client.call("VSEARCH", "other", EAST, 1)[0] == b"a"


def test_damage_behind_checksums(start_host):
    check_damage_behind_checksums(start_host("--rdbcompression", "no"), 60, random.randrange(1 << 32))


@pytest.mark.long
def test_much_damage_behind_checksums(start_host):
    host = start_host("--rdbcompression", "no")
    check_damage_behind_checksums(host, 2000, random.randrange(1 << 32))


def test_a_host_without_the_module_says_so(start_host):
    host = start_host()
    with host.wire() as client:
        client.call("VNEW", "i", 2)
        client.call("SAVE")
    host.process.kill()
    host.process.wait()
    with pytest.raises(AssertionError, match="engramIDX"):
        live.Redis(host.folder)


@pytest.mark.long
def test_forks_under_load_never_hang(start_host):
    """Two hundred snapshots while clients search, recall and write."""
    host = start_host()
    stop = False
    failures = []

    def work(number):
        rng = random.Random(number)
        with live.noting(failures), host.wire() as client:
            while not stop:
                name = rng.choice(list(PRIMITIVES))
                added = client.call("VADD", name, f"k{rng.randrange(500)}", vector(rng))
                if added not in (0, 1):
                    failures.append(added)
                answers(client, rng.choice(list(PRIMITIVES)), seed=rng.random())

    with host.wire() as client:
        fill_all(client)
        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        try:
            for i in range(200):
                assert not isinstance(client.call("BGREWRITEAOF" if i % 2 else "BGSAVE"), ErrorReply)
                live.wait_until(
                    lambda: b"rdb_bgsave_in_progress:0" in (info := client.call("INFO", "persistence"))
                    and b"aof_rewrite_in_progress:0" in info,
                    "the child has ended",
                )
            info = client.call("INFO", "persistence")
            # A job of two seconds, on a machine with too much to do, costs a snapshot.
            if b"engram_restless_forks:0" in client.call("INFO", "engram_module"):
                assert b"rdb_last_bgsave_status:ok" in info
                assert b"aof_last_bgrewrite_status:ok" in info
        finally:
            stop = True
            for thread in threads:
                thread.join()
    assert not failures
