# SPDX-License-Identifier: Apache-2.0
"""import and export: every format, at a directory and at a server, and what ends them early."""

import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import numpy
import pytest

import live
from cli import DONE, REFUSED, Cli, both, float32, places, write_vectors  # a fixture

LONG = pytest.mark.long
FORMATS = ["npy", "jsonl", *(pytest.param(name, marks=LONG) for name in ("fvecs", "fbin", "hdf5", "csv"))]
PLACES = [pytest.param(0, id="directory"), pytest.param(1, id="server", marks=LONG)]


@pytest.mark.parametrize("format", FORMATS)
def test_what_was_exported_is_imported(places, format):
    folder = places[0].folder
    vectors = write_vectors(folder, 300, 7)
    assert both(places, "import", "vectors.npy", "--metric", "l2", "--index", "flat") == "imported 300 vectors: 300 new, 0 replaced\n"
    both(places, "insert", "7", "--vector", ",".join(map(str, vectors[7])), "--attributes", '{"a": 7}')
    keyless = [] if format in ("csv", "jsonl") else ["--keys", "keys.txt"]
    file = f"out.{format}"
    written = []
    for place in places:
        out = exported(place, file, keyless)
        if out is None:
            pytest.skip("this build has no libhdf5")
        assert out == "exported 300 vectors\n"
        written.append((folder / file).read_bytes())
    assert format == "hdf5" or written[0] == written[1]
    counts = both(places, "import", file, *keyless, "--metric", "l2", "--collection", "copy", "--json")
    assert json.loads(counts) == {"imported": 300, "inserted": 300, "replaced": 0, "complete": True}
    for key in ("0", "7", "299"):
        copy = json.loads(both(places, "get", key, "--collection", "copy", "--json"))
        assert float32(copy["vector"]) == vectors[int(key)].tolist()
        assert copy["metadata"] == ({"a": 7} if key == "7" and format == "jsonl" else None)


def exported(place, file, keyless):
    """What it prints; nothing if the build lacks the format."""
    done = subprocess.run(place.words("export", file, *keyless), capture_output=True, text=True, cwd=place.folder)
    if "no libhdf5" in done.stderr:
        return None
    assert done.returncode == DONE, done.stderr
    return done.stdout


def test_bytes_come_from_bvecs_and_u8bin(places):
    folder = places[0].folder
    rows = numpy.random.default_rng(3).integers(0, 256, (50, 4)).astype("u1")
    header = numpy.array([50, 4], "<u4").tobytes()
    (folder / "a.u8bin").write_bytes(header + rows.tobytes())
    (folder / "a.bvecs").write_bytes(b"".join(numpy.int32(4).tobytes() + row.tobytes() for row in rows))
    both(places, "import", "a.u8bin", "--metric", "l2", "--index", "flat", "--prefix", "p")
    assert both(places, "import", "a.bvecs", "--prefix", "p", "--limit", "10") == "imported 10 vectors: 0 new, 10 replaced\n"
    assert json.loads(both(places, "get", "p49", "--json"))["vector"] == rows[49].tolist()
    both(places, "insert", "q", "--vector", "0.5,1,2,3")
    both(places, "export", "b.u8bin", code=REFUSED)
    assert "no whole number in 0..255" in places[0].errors
    assert not list(folder.glob("b.u8bin*"))


def test_a_bad_row_is_named_and_what_came_before_it_is_stored(places):
    folder = places[0].folder
    vectors = write_vectors(folder, 3000, 3)
    vectors[2500, 1] = numpy.nan
    numpy.save(folder / "vectors.npy", vectors)
    assert both(places, "import", "vectors.npy", code=REFUSED) == "imported 2,500 vectors: 2,500 new, 0 replaced\n"
    assert "row 2500 whose component 1 is not finite" in places[0].errors
    assert len(both(places, "list").splitlines()) == 2500
    (folder / "bad.csv").write_text("".join(f"{number},1,{number}\n" for number in range(2500)) + "2500,1,x\n")
    (folder / "bad.jsonl").write_text("".join(f'{{"id": {number}, "vector": [1, {number}]}}\n' for number in range(1500)) + "[")
    for file, count, said in (("bad.csv", 2500, "bad line 2501: component 2"), ("bad.jsonl", 1500, "bad line 1501: it is no JSON")):
        counts = both(places, "import", file, "--json", "--collection", file, code=REFUSED)
        assert json.loads(counts) == {"imported": count, "inserted": count, "replaced": 0, "complete": False}
        assert said in places[0].errors
        assert len(both(places, "list", "--collection", file).splitlines()) == count
    (folder / "keys").write_text("a\nb\n")
    both(places, "import", "vectors.npy", "--keys", "keys", "--collection", "k", code=REFUSED)
    assert "keys has 2 keys, fewer than there are rows" in places[0].errors
    both(places, "insert", "x", "--vector", "1", "--collection", "small")
    both(places, "import", "vectors.npy", "--collection", "small", code=REFUSED)
    assert "vectors of 3 dimensions do not go into collection 'small', which has 1" in places[0].errors


def test_a_pipe_is_read_once(places):
    """A look whether it is there would take what it holds."""
    folder = places[0].folder
    os.mkfifo(folder / "pipe.csv")
    for place in places:
        process = subprocess.Popen(place.words("import", "pipe.csv", "--quiet"), stdout=subprocess.PIPE, text=True, cwd=folder)
        with open(folder / "pipe.csv", "w") as pipe:
            pipe.write("a,1,2\nb,3,4\n")
        assert process.communicate(timeout=live.PATIENCE_SECONDS)[0] == "imported 2 vectors: 2 new, 0 replaced\n"
        done = subprocess.run(
            place.words("import", "/dev/stdin", "--format", "jsonl", "--quiet"),
            input='{"id": "c", "vector": [5, 6]}\n', capture_output=True, text=True, cwd=folder,
        )
        assert done.stdout == "imported 1 vectors: 1 new, 0 replaced\n", done.stderr
    assert both(places, "list") == "a\nb\nc\n"
    Cli(folder, "--data-dir", folder / "none")("import", "vectors.csv", "--keys", "none", code=REFUSED)
    assert not (folder / "none").exists()


def bulk(text):
    return b"$%d\r\n%s\r\n" % (len(text), text)


def answer_as_a_replaced_collection(listener):
    """A server whose collection has two dimensions, and then three."""
    vectors = {b"a": struct.pack("<2f", 1, 2), b"b": struct.pack("<3f", 1, 2, 3)}
    with listener.accept()[0] as peer, peer.makefile("rb") as stream:
        while line := stream.readline():
            words = []
            for _ in range(int(line[1:])):
                words.append(stream.read(int(stream.readline()[1:]) + 2)[:-2])
            peer.sendall({
                b"HELLO": b"%1\r\n" + bulk(b"server") + bulk(b"engram"),
                b"VINFO": b"%2\r\n" + bulk(b"vector-dim") + b":2\r\n" + bulk(b"size") + b":2\r\n",
                b"VRANGE": b"*2\r\n" + bulk(b"a") + bulk(b"b"),
                b"VGET": bulk(vectors.get(words[-1], b"")),
            }[words[0]])  # fmt: skip


@pytest.mark.parametrize("file", ["out.npy", "out.csv"])
def test_an_export_beneath_which_the_collection_is_replaced_leaves_nothing(tmp_path, file):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=answer_as_a_replaced_collection, args=[listener])
        server.start()
        cli = Cli(tmp_path, "--port", listener.getsockname()[1])
        cli("export", file, "--keys", "keys", code=REFUSED)
        server.join()
    assert "the collection was replaced: the vector of 'b' has 3 dimensions, those before it have 2" in cli.errors
    assert not list(tmp_path.iterdir())


def counted(output):
    return int(re.search(r"imported ([\d,]+) vectors", output)[1].replace(",", ""))


def start_import(cli, *arguments):
    """An import of many rows, some of which are in the journal."""
    vectors = write_vectors(cli.folder, 100_000, 16)
    process = subprocess.Popen(
        cli.words("import", "vectors.npy", *arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=cli.folder,
    )
    journal = lambda: sum(file.stat().st_size for file in cli.data.glob("journal-*"))
    live.wait_until(lambda: journal() > 300_000, "some batches are in the journal")
    return process, vectors


def numbers(cli):
    return sorted(map(int, cli("list").split()))


@pytest.mark.parametrize("place", PLACES)
def test_an_interrupted_import_says_how_many_are_stored(places, place):
    cli = places[place]
    process, _ = start_import(cli)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=6 * live.PATIENCE_SECONDS)
    assert process.returncode == REFUSED, errors
    stored = counted(out)
    assert 0 < stored < 100_000
    assert f"engram: interrupted; the first {stored:,} rows are stored\n" in errors
    assert numbers(cli) == list(range(stored))


@pytest.mark.long
@pytest.mark.parametrize("place", PLACES)
def test_a_killed_import_leaves_whole_batches(places, place):
    cli = places[place]
    process, vectors = start_import(cli, "--metric", "l2")
    process.kill()
    process.communicate()

    def is_whole():
        stored = numbers(cli)
        return len(stored) % 1024 == 0 and stored == list(range(len(stored)))

    # A server goes on with what it has received.
    live.wait_until(is_whole, "whole batches are there")
    last = len(numbers(cli)) - 1
    assert float32(json.loads(cli("get", str(last), "--json"))["vector"]) == vectors[last].tolist()
    if place == 0:
        assert live.run_engram("check", cli.data).returncode == 0


def test_a_bar_is_drawn_on_a_terminal_alone(tmp_path):
    write_vectors(tmp_path, 4000, 8)
    cli = Cli(tmp_path)
    cli("import", "vectors.npy", "--index", "flat")
    assert re.fullmatch(r"import: 4,000 vectors in [0-9.]+ s, [0-9,]+/s\n", cli.errors)
    cli("import", "vectors.npy", "--quiet")
    assert cli.errors == ""
    leader, follower = pty.openpty()
    process = subprocess.Popen(cli.words("import", "vectors.npy"), stderr=follower, stdout=subprocess.DEVNULL, cwd=tmp_path)
    os.close(follower)
    shown = b""
    while select.select([leader], [], [], live.PATIENCE_SECONDS)[0]:
        try:
            shown += os.read(leader, 4096)
        except OSError:  # nobody writes any more
            break
    os.close(leader)
    assert process.wait() == DONE
    assert re.search(rb"\rimport \[#* *\] \d+ %", shown) and b"4,000 vectors in" in shown


def peak_kib(pid):
    """What the process has had in memory at most; 0 if it has ended."""
    try:
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except FileNotFoundError:
        return 0
    return int(found[1]) if found else 0


@pytest.mark.long
@pytest.mark.skipif(live.SANITIZED, reason="a sanitizer takes memory of its own")
def test_a_large_file_is_imported_in_little_memory(tmp_path, start):
    vectors = write_vectors(tmp_path, 100_000, 100)
    server = start()
    cli = Cli(tmp_path, "--port", server.port)
    process = subprocess.Popen(
        cli.words("import", "vectors.npy", "--index", "flat", "--metric", "l2"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=tmp_path
    )
    most = 0
    while process.poll() is None:
        most = max(most, peak_kib(process.pid))
    assert process.returncode == DONE and counted(process.stdout.read()) == 100_000
    assert 0 < most < 32 * 1024  # of a file of 40 MB
    directory = Cli(tmp_path, "--data-dir", tmp_path / "data")
    directory("import", "vectors.npy", "--index", "flat", "--metric", "l2")
    for key in ("0", "54321", "99999"):
        assert both([directory, cli], "search", "--key", key, "-k", "3").split()[:3] == ["1", key, "0"]
        assert float32(json.loads(directory("get", key, "--json"))["vector"]) == vectors[int(key)].tolist()
    begin = time.monotonic()
    directory("get", "5")
    assert time.monotonic() - begin < live.PATIENCE_SECONDS / 4  # it has a snapshot to start from
