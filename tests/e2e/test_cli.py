# SPDX-License-Identifier: Apache-2.0
"""The subcommands on data: the same against a directory and against a server."""

import json
import os
import re
import shutil
import subprocess
import urllib.parse

import pytest

import live
from cli import DONE, MISUSED, REFUSED, Cli, both, places  # a fixture


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


def test_a_password_in_a_url_is_not_printed(tmp_path):
    for url in ("redis:/:secret@h", ":secret@h:1", "redis://:secret@h:x", "redis://:secret@"):
        cli = Cli(tmp_path, "--url", url)
        cli("list", code=MISUSED)
        assert "secret" not in cli.errors


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
    for command in ("serve", "check", "insert", "search", "delete", "list", "get", "info", "recall", "import", "export", "client put", "client search", "completion"):
        assert f".SS \\fBengram {command}\\fR" in page
        shown = live.run_engram(*command.split(), "--help")
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


def test_a_client_puts_and_searches_by_numbers(tmp_path, start):
    server = start()
    client = Cli(tmp_path, "put", "--port", server.port)
    assert client("client", "--id", "100", "--vector", "0.1,0.2,0.3") == "inserted 100\n"
    assert client("client", "--id", "4294967295", "--vector", "0.3,-0.2,0.1") == "inserted 4294967295\n"
    assert client("client", "--id", "0100", "--vector", "0.1,0.2,0.3", "--json") == '{"id":"100","inserted":false}\n'
    search = Cli(tmp_path, "search", "--port", server.port)
    assert search("client", "--vector", "0.1,0.2,0.3", "-k", "1").split()[:2] == ["1", "100"]
    found = json.loads(search("client", "--vector", "0.1,0.2,0.3", "--json"))["results"]
    assert [result["id"] for result in found] == ["100", "4294967295"]
    search("client", "--vector", "1,2,3", "--collection", "none", code=REFUSED)
    for wrong in ("-1", "4294967296", "a", "1.5", ""):
        client("client", "--id", wrong, "--vector", "1,2,3", code=MISUSED)
    client("client", "--id", "1", code=MISUSED)
    client("client", "--vector", "1", code=MISUSED)
    search("client", "--vector", "1,x", code=MISUSED)
    Cli(tmp_path)("client", code=MISUSED)
    Cli(tmp_path)("client", "drop", code=MISUSED)


def test_a_client_asks_a_server_whatever_says_where_data_is(tmp_path, start):
    server = start()
    url = f"redis://127.0.0.1:{server.port}"
    client = Cli(tmp_path, environment={"ENGRAM_DATA_DIR": "data", "ENGRAM_URL": url})
    assert client("client", "put", "--id", "1", "--vector", "1,2") == "inserted 1\n"
    assert client("client", "search", "--vector", "1,2").startswith("1  1  ")
    client("client", "search", "--vector", "1,2", "--data-dir", "data", code=MISUSED)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "line, offered",
    [
        ("engram se", {"serve", "search"}),
        ("engram search --k", {"--k", "--key"}),
        ("engram insert a --metric ", {"cosine", "l2", "dot"}),
        ("engram completion ", {"bash", "zsh", "fish"}),
        ("engram import vec", {"vectors.npy"}),
        ("engram client ", {"put", "search", "-h", "--help"}),
        ("engram client p", {"put"}),
        ("engram client put --i", {"--id"}),
        ("engram client search --k", {"--k"}),
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
