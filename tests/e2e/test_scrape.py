# SPDX-License-Identifier: Apache-2.0
"""GET /metrics, for Prometheus and in JSON, and who else reads what is counted."""

import http.client
import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from live import PATIENCE_SECONDS, free_port, wait_until
from wire import ErrorReply, pack


@pytest.fixture
def watched(start):
    """A server with a door for HTTP, and how to ask it."""
    port = free_port()
    server = start("--http-port", port, "--fsync", "always")

    def ask(**fields):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        connection.request("GET", "/metrics", headers=fields)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        return response.status, response.getheader("Content-Type"), body

    return server, ask


def samples(text):
    """What prometheus would read: {(name, labels): value}."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP [a-z_]+ .+|TYPE [a-z_]+ (counter|gauge|histogram))", line)
            continue
        name, labels, value = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? (\S+)", line).groups()
        assert (name, labels) not in found
        found[name, labels] = float(value)
    return found


def fill(server):
    with server.wire() as wire:
        wire.call("VNEW", 'a "b"\n', 2, "PRIMITIVE", "flat", "MEASURE", 1)
        wire.call("VNEW", b"\xff", 2, "PRIMITIVE", "hopfield")
        for name in ('a "b"\n', b"\xff"):
            wire.call("VMADD", name, "k", pack(1, 2), "l", pack(3, 4), "m", pack(5, 6))
            wire.call("VDEL", name, "m")
            wire.call("VMSEARCH", name, 1, pack(1, 2), pack(3, 4))
        assert not isinstance(wire.call("VRECALL", b"\xff", "VEC", pack(1, 2)), ErrorReply)
        wire.call("GET")


def test_prometheus_reads_what_was_done(watched):
    server, ask = watched
    fill(server)
    told = {}

    def is_measured():
        status, kind, text = ask()
        assert status == 200 and kind == "text/plain; version=0.0.4; charset=utf-8"
        told.update(samples(text))
        return ("engram_index_recall_ratio", r'index="a \"b\"\n",primitive="flat",k="1"') in told

    wait_until(is_measured, "searches were measured")
    for labels in (r'index="a \"b\"\n",primitive="flat"', r'index="\\xff",primitive="hopfield"'):
        assert told["engram_search_duration_seconds_count", labels] == 2
        assert told["engram_insert_duration_seconds_count", labels] == 3
        assert told["engram_erase_duration_seconds_count", labels] == 1
        assert told["engram_index_items", labels] == 2
        assert told["engram_index_memory_bytes", labels + ',part="vectors"'] > 0
        assert told["engram_index_memory_bytes", labels + ',part="structure"'] > 0
    assert told["engram_recall_duration_seconds_count", r'index="\\xff",primitive="hopfield"'] == 1
    assert told["engram_index_recall_ratio", r'index="a \"b\"\n",primitive="flat",k="1"'] == 1
    assert told["engram_commands_total", 'command="vmadd"'] == 2
    assert told["engram_commands_rejected_total", 'command="get"'] == 1
    assert told["engram_error_replies_total", 'error="ERR"'] == 1
    assert told["engram_journal_fsync_duration_seconds_count", None] >= 6
    assert 0 < told["engram_journal_fsync_duration_seconds_sum", None] < 60
    assert told["process_resident_memory_bytes", None] > 1 << 20
    assert 5 < told["process_open_fds", None] < 200
    assert [value for (name, _), value in told.items() if name == "engram_build_info"] == [1]
    buckets = [v for (name, labels), v in told.items() if name == "engram_command_duration_seconds_bucket" and '"vmadd"' in labels]
    assert buckets == sorted(buckets) and buckets[-1] == 2


def test_python_prometheus_client_reads_it(watched):
    server, ask = watched
    if importlib.util.find_spec("prometheus_client") is None:
        pytest.skip("python3-prometheus-client is not installed")
    from prometheus_client.parser import text_string_to_metric_families

    fill(server)
    families = {family.name: family for family in text_string_to_metric_families(ask()[2])}
    searches = families["engram_search_duration_seconds"]
    assert searches.type == "histogram" and families["engram_commands"].type == "counter"
    names = {sample.labels["index"] for sample in searches.samples}
    assert names == {'a "b"\n', "\\xff"}


def test_metrics_in_json_are_those_of_all_indexes(watched):
    server, ask = watched
    fill(server)
    status, kind, text = ask(Accept="application/json")
    told = json.loads(text)
    assert status == 200 and kind == "application/json"
    assert (told["total_queries"], told["total_inserts"], told["total_deletes"]) == (4, 6, 2)
    assert told["indexes"] == 2 and told["vectors"] == 4
    assert 0 < told["p50_latency_us"] <= told["p95_latency_us"] <= told["p99_latency_us"]
    assert 0 < told["avg_latency_us"] <= told["p99_latency_us"] * 1.01
    # Prometheus names text, and a browser does not name JSON.
    for accept in ("application/openmetrics-text,text/plain;q=0.5,*/*;q=0.1", "text/html,*/*", "text/plain,application/json"):
        assert ask(Accept=accept)[1].startswith("text/plain")
    with server.wire() as wire:
        wire.call("CONFIG", "SET", "requirepass", "secret")
    assert ask()[0] == 401 and ask(Authorization="Bearer secret")[0] == 200


def test_the_dashboard_asks_for_what_there_is(watched):
    server, ask = watched
    fill(server)
    wait_until(lambda: "engram_index_recall_ratio{" in ask()[2], "searches were measured")
    there = {name for name, _ in samples(ask()[2])}
    path = Path(__file__).resolve().parents[2] / "experiments" / "grafana" / "engram.json"
    dashboard = json.loads(path.read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    names = {name for expression in asked for name in re.findall(r"\b(?:engram|process)_\w+", expression)}
    assert len(asked) > 10 and names <= there


@pytest.mark.long
def test_prometheus_redis_exporter_runs_unmodified(watched):
    server, _ = watched
    program = shutil.which("prometheus-redis-exporter")
    if program is None:
        pytest.skip("prometheus-redis-exporter is not installed")
    fill(server)
    port = free_port()
    exporter = subprocess.Popen(
        [program, "-redis.addr", f"redis://127.0.0.1:{server.port}", "-web.listen-address", f"127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def scrape():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        except ConnectionRefusedError:
            return None
        finally:
            connection.close()

    try:
        text = wait_until(scrape, "the exporter listens")
    finally:
        exporter.terminate()
        exporter.wait(timeout=PATIENCE_SECONDS)
    assert "\nredis_up 1\n" in text and "redis_exporter_last_scrape_error{" in text
    assert re.search(r'\nredis_exporter_last_scrape_error\{err=""\} 0\n', text)
    assert 'redis_commands_total{cmd="vmadd"} 2' in text
    assert "redis_latency_percentiles_usec{" in text and "redis_slowlog_length" in text
    assert 'redis_errors_total{err="ERR"} 1' in text
    assert "redis_memory_used_bytes" in text and 'redis_db_keys{db="db0"} 2' in text
