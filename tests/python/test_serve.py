# SPDX-License-Identifier: Apache-2.0
"""Primitives in Python under many threads, and in a server of this process."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import engramdb
import live
import numpy as np
import pytest
from primitives import COMMANDS, LEARNED, README, ROOT, Trouble, rows_of
from test_threads import run


def write_and_search(index, number, rounds=40):
    """For test_threads.run()."""

    def work():
        rows = rows_of(number, rounds) + 10 * number
        for i, row in enumerate(rows):
            assert index.add(f"{number}:{i}", row) == 1
            assert index.search(row, k=1).keys == [f"{number}:{i}"]
            assert len(index.search(rows, k=1).keys) == rounds
            if i % 4 == 0:
                assert index.erase(f"{number}:{i}")

    return work


def test_threads_write_and_search_without_waiting_for_ever():
    index = engramdb.Index(8, metric="l2", primitive="learned")
    run([write_and_search(index, number) for number in range(6)])
    assert len(index) == 6 * 30


def test_threads_of_python_use_the_server_that_runs_beside_them():
    with engramdb.serve(0, background=True) as server:
        with engramdb.connect(port=server.port) as store:
            index = store.create("notes", 8, metric="l2", primitive="learned")

            def work(number):
                def connected():
                    with engramdb.connect(port=server.port) as own:
                        write_and_search(own["notes"], number, 12)()

                return connected

            run([work(number) for number in range(4)])
            assert len(index) == 4 * 9


def test_an_interpreter_ends_with_searches_under_way(tmp_path):
    (tmp_path / "learned.py").write_text(LEARNED)
    program = (
        "import engramdb, learned, numpy as np, threading\n"
        "index = engramdb.Index(8, primitive='learned')\n"
        "index.add([str(i) for i in range(500)], np.random.default_rng(1).standard_normal((500, 8)))\n"
        "server = engramdb.serve(0, background=True)\n"
        "store = engramdb.connect(port=server.port)\n"
        "store.create('notes', 8, primitive='learned').add('a', np.ones(8))\n"
        "begun = threading.Barrier(3)\n"
        "def search():\n"
        "    begun.wait()\n"
        "    try:\n"
        "        while True: index.search(np.ones((50, 8)))\n"
        "    except engramdb.Unsupported: pass\n"
        "for _ in range(2): threading.Thread(target=search, daemon=True).start()\n"
        "begun.wait()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


class Learnt(live.Process):
    """The example of the README, on a port that the system chooses."""

    def __init__(self, folder):
        with live.socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (folder / "build").symlink_to(Path(engramdb.__file__).parents[4])
        (folder / "experiments").symlink_to(ROOT / "experiments")
        (folder / "learned.py").write_text(LEARNED.replace("6380", str(port)))
        super().__init__([sys.executable, str(folder / "learned.py")], folder)
        self.port = port
        live.wait_until(self.answers, "it answers")

    def answers(self):
        self.assert_running()
        try:
            with self.redis() as client:
                return client.ping()
        except live.redis.exceptions.ConnectionError:
            return False

    def run(self, command):
        """A line of the README; what it prints."""
        done = subprocess.run(
            ["bash", "-c", command.replace("6380", str(self.port))],
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self.folder,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_is_served_and_searched_by_redis_cli_in_five_commands(tmp_path, number):
    assert len(COMMANDS) == 5
    assert COMMANDS[2] == "PYTHONPATH=build/server/hosts/python python3 learned.py &"
    server = Learnt(tmp_path)
    assert (tmp_path / "build/server/hosts/python/engramdb").is_dir()
    assert "10,000 vectors of 100 dimensions, cosine, learned" in server.run(COMMANDS[3])
    found = server.run(COMMANDS[4]).split()
    assert found[0] == "king"
    assert {"queen", "prince"} <= set(found)
    server.send_signal(number)
    assert server.wait() == 0, server.output()


@pytest.mark.long
def test_it_is_in_the_recall_plot_beside_others(tmp_path):
    server = Learnt(tmp_path)
    command = re.search("`(experiments/recall.py .*?)`", README, re.DOTALL)[1]
    told = server.run(f"{command} --queries 50 --rounds 1 --output {tmp_path}")
    assert re.search(r"^ +flat +1\.0000", told, re.MULTILINE)
    low, high = (float(found) for found in re.findall(r"^ +EF=(?:10|500) +(\S+)", told, re.MULTILINE))
    assert low < high
    assert high >= 0.8
    assert re.search(r"^ +hopfield +1\.0000", told, re.MULTILINE)
    assert list(tmp_path.glob("recall-*.png"))
    server.end()


def test_what_it_raises_is_an_error_reply_and_the_server_goes_on():
    Trouble.raises = {}
    engramdb.primitive(Trouble)
    with engramdb.serve(0, background=True) as server, live.redis.Redis(port=server.port) as client:
        client.execute_command("VNEW", "notes", 2, "METRIC", "l2", "PRIMITIVE", "trouble")
        vector = np.ones(2, dtype="<f4").tobytes()
        Trouble.raises = {"insert": ValueError("not now")}
        with pytest.raises(live.redis.ResponseError, match="primitive 'trouble': ValueError: not now"):
            client.execute_command("VADD", "notes", "a", vector)
        Trouble.raises = {}
        assert client.execute_command("VADD", "notes", "a", vector) == 1
        Trouble.raises = {"search": ZeroDivisionError()}
        with pytest.raises(live.redis.ResponseError, match="primitive 'trouble': ZeroDivisionError"):
            client.execute_command("VSEARCH", "notes", vector, 1)
        Trouble.raises = {}
        assert client.execute_command("VSEARCH", "notes", vector, 1) == [b"a", b"0"]


def test_a_server_that_cannot_be_is_refused(tmp_path):
    with pytest.raises(engramdb.InvalidArgument, match="there is no setting 'wings'"):
        engramdb.serve(0, wings=2)
    with pytest.raises(engramdb.InvalidArgument, match="port"):
        engramdb.serve(99999)
    with engramdb.serve(0, tmp_path / "data", background=True, requirepass="secret") as server:
        with pytest.raises(engramdb.AlreadyExists):
            engramdb.serve(0, tmp_path / "data")
        with pytest.raises(engramdb.StorageError, match="in use"):
            engramdb.serve(server.port)
        with engramdb.connect(port=server.port, password="secret") as store:
            store.create("notes", 2).add("a", [1, 1])
    with engramdb.Store(tmp_path / "data") as store:
        assert list(store["notes"]) == ["a"]
