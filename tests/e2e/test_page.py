# SPDX-License-Identifier: Apache-2.0
"""The page at /, in headless Chromium."""

import gzip
import json
import os
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import live
import npm_packages
import words

PLAYWRIGHT = "playwright-core@1.49.1"
CHROMIUM = shutil.which("chromium")
FASHION = Path("/usr/share/datasets/fashion-mnist")
KINDS = ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot"]
IMAGES = 600
WORDS = 2000
PASSWORD = "geheim ü"

in_browser = pytest.mark.skipif(
    live.SANITIZED or not (CHROMIUM and shutil.which("node") and shutil.which("npm")),
    reason="needs Chromium and Node.js; the page is the same in every build",
)


@pytest.fixture(scope="module")
def packages():
    return npm_packages.fetched(PLAYWRIGHT)


def fashion():
    """Images of clothes, and what they show."""
    with gzip.open(FASHION / "t10k-images-idx3-ubyte.gz") as file:
        images = np.frombuffer(file.read(16 + 784 * IMAGES), np.uint8, offset=16)
    with gzip.open(FASHION / "t10k-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(8 + IMAGES), np.uint8, offset=8)
    return images.reshape(IMAGES, 784).astype(np.float32), [KINDS[label] for label in labels]


def fill_words(client):
    data = words.load()
    client.execute_command("VNEW", "words", data.dim, "PRIMITIVE", "hopfield", "MEASURE", 1)
    words.put(client, "words", data, range(WORDS))


def fill_fashion(client):
    images, kinds = fashion()
    client.execute_command("VNEW", "fashion", 784, "METRIC", "l2", "PRIMITIVE", "hopfield", "BETA", 1e-5)
    for row, image in enumerate(images):
        attributes = json.dumps({"kind": kinds[row]})
        client.execute_command(
            "VADD", "fashion", f"{kinds[row].lower()}-{row}", image.tobytes(), "SETATTR", attributes
        )


def fill_fading(client):
    rng = np.random.default_rng(5)
    client.execute_command("VNEW", "fading", 16, "PRIMITIVE", "hopfield", "DECAY", "exp", 60_000)
    for row, vector in enumerate(rng.normal(size=(200, 16)).astype(np.float32)):
        client.execute_command("VADD", "fading", f"item {row}", vector.tobytes(), "STRENGTH", 1 + row % 7)


def fill_graph(client):
    rng = np.random.default_rng(6)
    client.execute_command("VNEW", "graph", 16, "PRIMITIVE", "hnsw")
    rows = rng.normal(size=(1500, 16)).astype(np.float32)
    client.execute_command("VMADD", "graph", *[part for row, vector in enumerate(rows) for part in (f"node {row}", vector.tobytes())])


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where a server with four collections has its page."""
    if not FASHION.exists():
        pytest.skip("needs Debian's dataset-fashion-mnist")
    port = live.free_port()
    server = live.Server(tmp_path_factory.mktemp("page"), "--http-port", port)
    with server.redis() as client:
        fill_words(client)
        fill_fashion(client)
        fill_fading(client)
        fill_graph(client)
    yield f"http://127.0.0.1:{port}"
    server.end()


@pytest.fixture
def drive(packages, tmp_path):
    def run(address, test):
        shots = Path(os.environ.get("ENGRAM_SCREENSHOTS", tmp_path))
        script = Path(__file__).with_name("page_in_chromium.js")
        ended = subprocess.run(
            ["node", script, packages, CHROMIUM, address, shots, test], capture_output=True, text=True, timeout=120
        )
        assert ended.returncode == 0, ended.stderr

    return run


@in_browser
@pytest.mark.long
@pytest.mark.parametrize("test", ["loads", "searches", "filters", "recalls", "steps", "fades", "tunes", "chooses", "late", "keys", "documents"])
def test_the_page(drive, address, test):
    drive(address, test)


@in_browser
@pytest.mark.long
def test_the_page_asks_for_a_password(drive, start):
    port = live.free_port()
    start("--http-port", port, "--requirepass", PASSWORD)
    drive(f"http://127.0.0.1:{port}", "asks")


@in_browser
@pytest.mark.long
def test_the_page_says_how_the_server_is(drive, start):
    port = live.free_port()
    start("--http-port", port)
    drive(f"http://127.0.0.1:{port}", "waits")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Asks a server for files of its page."""
    port = live.free_port()
    server = live.Server(tmp_path_factory.mktemp("files"), "--http-port", port, "--requirepass", "secret")

    def ask(path, **headers):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
        try:
            return urllib.request.urlopen(request, timeout=live.PATIENCE_SECONDS)
        except urllib.error.HTTPError as error:
            return error

    yield ask
    server.end()


def test_the_page_needs_no_password_and_no_other_host(files):
    page = files("/")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'; script-src 'self'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    text = page.read().decode()
    for path in set(re.findall(r'"(/assets/[^"]+)"', text)):
        asset = files(path)
        assert asset.status == 200, path
        assert "https://" not in re.sub(r"//.*|/\*.*?\*/", "", asset.read().decode()) or "chart" in path


def test_files_of_the_page_are_sent_once(files):
    tag = files("/assets/page.js").headers["ETag"]
    again = files("/assets/page.js", **{"If-None-Match": tag})
    assert again.status == 304 and again.read() == b""
    assert files("/assets/page.js", **{"If-None-Match": '"other"'}).status == 200
    assert files("/assets/none.js").status == 404
