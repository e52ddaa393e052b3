# SPDX-License-Identifier: Apache-2.0
"""The subcommands on data: the same against a directory and against a server."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import time
import urllib.parse
from pathlib import Path

import numpy
import pytest

import live

DONE, REFUSED, MISUSED = 0, 1, 2


class Cli:
    """Runs subcommands at one place."""

    def __init__(self, folder, *place, environment=None):
        self.folder = folder
        self.data = folder / "data"  # where the place keeps it
        self.place = [str(word) for word in place]
        self.environment = {**os.environ, **(environment or {})}
        self.environment.setdefault("TERM", "dumb")

    def __call__(self, command, *arguments, code=DONE):
        done = subprocess.run(
            self.words(command, *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=6 * live.PATIENCE_SECONDS,
            cwd=self.folder,
            env=self.environment,
        )
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        lines = done.stderr.decode().splitlines()
        if code != DONE:
            assert lines and all(
                line.startswith("engram: ") for line in lines if "vectors in" not in line
            )
        self.errors = done.stderr.decode()
        return done.stdout.decode()

    def words(self, command, *arguments):
        return live.engram_command(command, *self.place, *arguments)


@pytest.fixture
def places(tmp_path, start):
    """A directory, and a server; both empty."""
    server = start()
    directory = Cli(tmp_path, "--data-dir", tmp_path / "data")
    served = Cli(tmp_path, "--port", server.port)
    served.data = server.folder
    return [directory, served]


def both(places, command, *arguments, code=DONE):
    """What a subcommand prints, which is the same at each place."""
    answers = [(place(command, *arguments, code=code), rateless(place.errors)) for place in places]
    assert answers[0] == answers[1]
    return answers[0][0]


def float32(numbers):
    return numpy.array(numbers, "f4").tolist()


def rateless(errors):
    return re.sub(r" in [0-9.]+ s, [0-9,]+/s", "", errors)


def write_vectors(folder, count, dim, seed=5):
    vectors = numpy.random.default_rng(seed).standard_normal((count, dim)).astype("<f4")
    numpy.save(folder / "vectors.npy", vectors)
    return vectors


def test_every_command_prints_the_same_at_both_places(places):
    assert both(places, "insert", "v1", "--vector", "1.0,2.0,3.0", "--metric", "l2") == "inserted v1\n"
    assert both(places, "insert", "v1", "--vector", "1,2,3") == "replaced v1\n"
    inserted = both(places, "insert", "v2", "--vector=-1,2,3", "--attributes", '{"n": [1, "x"]}', "--json")
    assert json.loads(inserted) == {"id": "v2", "inserted": True}
    assert both(places, "search", "1.0,2.0,3.0", "--k", "10") == "1  v1  0\n2  v2  2\n"
    assert both(places, "search", "-1,2,3", "-k", "1") == "1  v2  0\n"
    found = both(places, "search", "1,2,3", "--json", "--attributes", "--ef", "50")
    assert json.loads(found) == {
        "results": [
            {"id": "v1", "distance": 0, "metadata": None},
            {"id": "v2", "distance": 2, "metadata": {"n": [1, "x"]}},
        ]
    }
    assert both(places, "search", "--key", "v2", "--filter", ".n") == "1  v2  0\n"
    assert both(places, "search", "1,2,3", "--option", "RADIUS=1") == "1  v1  0\n"
    assert both(places, "list") == "v1\nv2\n"
    assert both(places, "list", "--limit", "1", "--json") == '{"ids":["v1"]}\n'
    assert both(places, "get", "v1") == "id      v1\nvector  1,2,3\n"
    assert json.loads(both(places, "get", "v2", "--json"))["metadata"] == {"n": [1, "x"]}
    recalled = json.loads(both(places, "recall", "1,2,2", "--option", "BETA=8", "--json"))
    assert recalled["attractor"] == "v1" and recalled["support"][0]["id"] == "v1"
    assert "attractor  v2\n" in both(places, "recall", "--key", "v2", "--mask", "0,1", "--option", "BETA=8", "--top", "1")
    assert both(places, "delete", "v1", "v7", code=REFUSED) == "deleted v1\n"
    assert places[0].errors == "engram: there is no key 'v7' in collection 'default'\n"
    assert both(places, "delete", "v2", "v9", "--json", code=REFUSED) == '{"deleted":["v2"],"missing":["v9"]}\n'
    assert both(places, "list") == ""


def test_info_is_json_and_the_same_but_for_memory(places):
    both(places, "insert", "a", "--vector", "1,2", "--index", "flat")
    facts = [json.loads(place("info", "--json")) for place in places]
    assert "vector-dim  " in places[0]("info")
    assert facts[0]["size"] == 1 and facts[0]["primitive"] == "flat"
    assert list(facts[0]) == list(facts[1])
    assert {name for name in facts[0] if facts[0][name] != facts[1][name]} <= {
        "memory-bytes", "index-bytes", "bytes-per-item"
    }


def test_the_engine_says_no_in_a_sentence(places):
    for place in places:
        place("insert", "a", "--vector", "1,2", "--collection", "other")
    for command in (
        ["search", "1,2"],
        ["list"],
        ["get", "a"],
        ["info"],
        ["delete", "a"],
        ["recall", "1,2"],
        ["export", "x.npy"],
    ):
        assert both(places, *command, code=REFUSED) == ""
        assert places[0].errors == (
            "engram: there is no collection 'default'; insert and import make one\n"
        )
    both(places, "insert", "a", "--vector", "1,2", "--index", "flat")
    for command, said in (
        (["search", "1,2,3"], "3 dimensions"),
        (["search", "1,2", "--k", "0"], "k must be an integer"),
        (["search", "1,2", "--filter", ".a =="], "syntax error in FILTER"),
        (["search", "--key", "b"], "there is no key 'b'"),
        (["get", "b"], "there is no key 'b' in collection 'default'"),
        (["insert", "b", "--vector", "1,2", "--attributes", "[1]"], "attributes must be a JSON object"),
        (["insert", "b", "--vector", "nan,2"], "finite"),
        (["insert", "b", "--vector", "1,2", "--index", "hnsw"], "has the primitive flat, not hnsw"),
        (["insert", "b", "--vector", "1,2", "--collection", "c", "--index", "nosuch"], "nosuch"),
        (["import", "none.npy"], "cannot read none.npy"),
    ):
        both(places, *command, code=REFUSED)
        assert said in places[0].errors


def test_wrong_usage_is_2(places):
    for command in (
        ["search"], ["search", "1,x"], ["search", "1,2", "--key", "a"], ["insert", "a"], ["insert", "--vector", "1"],
        ["get"], ["delete"], ["search", "1", "--nosuch"], ["import"], ["import", "a.png"], ["export", "a.npy", "--format", "x"],
        ["insert", "a", "--vector", "1", "--metric", "hamming"], ["search", "1", "--option", "EF"],
    ):
        both(places, *command, code=MISUSED)
    place = places[1]
    place("list", "--data-dir", "x", code=MISUSED)
    assert "one place" in place.errors
    Cli(place.folder)("list", "--url", "http://x", code=MISUSED)
    Cli(place.folder, environment={"ENGRAM_URL": "redis://x", "ENGRAM_DATA_DIR": "x"})("list", code=MISUSED)
    assert not places[0].data.exists()


def test_without_a_place_data_is_in_engram_data(tmp_path):
    cli = Cli(tmp_path)
    cli("search", "1,2", code=REFUSED)
    assert "engram-data: No such file or directory" in cli.errors
    assert not (tmp_path / "engram-data").exists()
    cli("insert", "v1", "--vector", "1.0,2.0,3.0")
    assert cli("search", "1.1,2.1,3.1", "--k", "10").startswith("1  v1  0.0001")
    assert (tmp_path / "engram-data").is_dir()
    assert Cli(tmp_path, environment={"ENGRAM_DATA_DIR": "engram-data"})("list") == "v1\n"


def test_a_directory_in_use_by_a_server_is_refused(tmp_path, start):
    server = start()
    cli = Cli(tmp_path, "--data-dir", server.folder)
    cli("list", code=REFUSED)
    assert "say --port to reach it" in cli.errors


def test_a_server_and_a_directory_are_one_after_the_other(start, reopen):
    server = start()
    with server.redis() as client:
        client.execute_command("VADD", "a", "VALUES", 2, 1, 2, "x")
    server.end()
    cli = Cli(server.folder, "--data-dir", server.folder, "--collection", "a")
    cli("insert", "y", "--vector", "3,4")
    with reopen(server).redis() as client:
        assert client.execute_command("VCARD", "a") == 2


def test_a_server_with_a_password_is_reached_by_url(tmp_path, start):
    password = "p@ss:wo/rd"
    server = start("--requirepass", password)
    Cli(tmp_path, "--port", server.port)("list", code=REFUSED)
    place = f"redis://:{urllib.parse.quote(password, safe='')}@127.0.0.1:{server.port}"
    Cli(tmp_path, "--url", place)("insert", "a", "--vector", "1")
    assert Cli(tmp_path, environment={"ENGRAM_URL": place})("list") == "a\n"
    wrong = Cli(tmp_path, "--url", f"redis://:x@127.0.0.1:{server.port}")
    wrong("list", code=REFUSED)
    assert "WRONGPASS" in wrong.errors
    nobody = Cli(tmp_path, "--port", live.free_port())
    nobody("list", code=REFUSED)
    assert "cannot reach a server" in nobody.errors


def test_any_key_is_one(tmp_path):
    cli = Cli(tmp_path)
    keys = ["VALUES", "fp32", "a b", "\x1b[1m", "-k", "é", "(", "+"]
    for key in keys:
        cli("insert", "--vector", "1,2", "--attributes", '{"a":1}', "--metric", "l2", "--", key)
    assert json.loads(cli("get", "--json", "--", "-k")) == {"id": "-k", "vector": [1, 2], "metadata": {"a": 1}}
    assert "\x1b" not in cli("list")
    cli("export", "x.jsonl")
    cli("delete", "--", *keys)
    assert cli("list") == ""
    cli("import", "x.jsonl")
    assert sorted(json.loads(cli("list", "--json"))["ids"]) == sorted(keys)


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
    assert both(places, "import", "vectors.npy", code=REFUSED) == "imported 2,048 vectors: 2,048 new, 0 replaced\n"
    assert "row 2500 whose component 1 is not finite" in places[0].errors
    assert len(both(places, "list").splitlines()) == 2048
    (folder / "keys").write_text("a\nb\n")
    both(places, "import", "vectors.npy", "--keys", "keys", "--collection", "k", code=REFUSED)
    assert "keys has 2 keys, fewer than there are rows" in places[0].errors
    both(places, "insert", "x", "--vector", "1", "--collection", "small")
    both(places, "import", "vectors.npy", "--collection", "small", code=REFUSED)
    assert "vectors of 3 dimensions do not go into collection 'small', which has 1" in places[0].errors


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


@pytest.mark.long
def test_many_commands_on_a_directory_do_not_fill_it(tmp_path):
    cli = Cli(tmp_path)
    for i in range(210):
        cli("insert", f"{i}", "--vector", f"{i},1")
    # A snapshot every 64 segments, and those of the one before are kept until it is verified.
    assert len(list((tmp_path / "engram-data").iterdir())) < 160
    assert len(cli("list").split()) == 210


def test_completion_and_manual_know_every_command(tmp_path):
    page = live.run_engram("manual").stdout
    for command in ("serve", "check", "insert", "search", "delete", "list", "get", "info", "recall", "import", "export", "completion"):
        assert f".SS \\fBengram {command}\\fR" in page
        shown = live.run_engram(command, "--help")
        assert shown.returncode == DONE
        for name in re.findall(r"--[a-z-]+", shown.stdout):
            escaped = name.replace("-", "\\-")
            if command not in ("serve", "check") and name in ("--port", "--json"):
                assert escaped in page
    if shutil.which("man"):
        (tmp_path / "engram.1").write_text(page)
        done = subprocess.run(
            ["man", "--warnings", "-l", tmp_path / "engram.1"],
            capture_output=True,
            text=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "100"},
        )
        assert done.returncode == 0 and done.stderr == "" and "ENVIRONMENT" in done.stdout
    for shell in ("bash", "zsh", "fish"):
        script = live.run_engram("completion", shell)
        assert script.returncode == DONE
        (tmp_path / shell).write_text(script.stdout)
        if shutil.which(shell):
            subprocess.run([shell, "-n", tmp_path / shell], check=True)
    assert live.run_engram("completion", "tcsh").returncode == MISUSED


@pytest.mark.parametrize(
    "line, offered",
    [
        ("engram se", {"serve", "search"}),
        ("engram search --k", {"--k", "--key"}),
        ("engram insert a --metric ", {"cosine", "l2", "dot"}),
        ("engram completion ", {"bash", "zsh", "fish"}),
        ("engram import vec", {"vectors.npy"}),
    ],
)
def test_bash_completes(tmp_path, line, offered):
    (tmp_path / "vectors.npy").touch()
    words = line.split(" ")
    (tmp_path / "script").write_text(live.run_engram("completion", "bash").stdout)
    assignments = " ".join(f"'{word}'" for word in words)
    done = subprocess.run(
        ["bash", "-c", f"source ./script; COMP_WORDS=({assignments}); COMP_CWORD={len(words) - 1}; _engram; echo ${{COMPREPLY[@]}}"],
        capture_output=True, text=True, cwd=tmp_path,
    )
    assert set(done.stdout.split()) == offered, done.stderr


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
