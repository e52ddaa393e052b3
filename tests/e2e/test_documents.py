# SPDX-License-Identifier: Apache-2.0
"""What the documents show is what happens.

Every Markdown file of the tree is read. A fenced block is executed if its language is one of these:

  redis          Lines that begin with "> " are commands as redis-cli reads them, the others are what
                 it prints. f32(1, 0.5) stands for a packed vector, in commands and in replies. A
                 block runs on an empty database, after the document's block "redis setup" if it has
                 one. "redis memory" runs on a server without --dir.
  console        Lines that begin with "$ " are for the shell, the others are what goes to standard
                 output. build/server/engram and experiments/ are there, and redis-server with the module
                 where a block loads that; 6380 is a free port.
  pycon          A session of Python, with a server on port 6380. PYTHONPATH names the built package.

In what is expected, "..." stands for any text, on a line of its own for any lines. Numbers that are
not integers may differ in their last digits, as they do between instruction sets.

server/COMMANDS.md is also held against the server's own table: a section for every command, with
the syntax, the cost and the summary that COMMAND DOCS tells.
"""

import doctest
import os
import re
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

import live

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("core", "primitives", "server", "experiments", "tests")
COMMANDS = ROOT / "server" / "COMMANDS.md"
FENCE = re.compile(r"^```(\w+)([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
VECTOR = re.compile(r"f32\(([^)]*)\)")
QUOTED = r'"((?:[^"\\]|\\.)*)"'
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?!\w)")
ELAPSED = re.compile(r"^\(\d+\.\d\ds\)$")  # redis-cli adds it to what took long
USUAL_PORT = "6380"


# --- Documents ------------------------------------------------------------------------------------


def documents():
    return [
        *sorted(ROOT.glob("*.md")),
        *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.md"))),
    ]


@dataclass(frozen=True)
class Block:
    document: Path
    line: int
    language: str
    words: tuple
    text: str


def blocks(document):
    text = document.read_text(encoding="utf-8")
    for found in FENCE.finditer(text):
        yield Block(
            document,
            text.count("\n", 0, found.start()) + 1,
            found[1],
            tuple(found[2].split()),
            found[3],
        )


def examples(language):
    """Those blocks, each as a parameter of a test."""
    return [
        pytest.param(block, id=f"{block.document.relative_to(ROOT)}:{block.line}")
        for document in documents()
        for block in blocks(document)
        if block.language == language and "setup" not in block.words
    ]


def setup_of(document):
    return "".join(block.text for block in blocks(document) if "setup" in block.words)


# --- What is expected, and what came --------------------------------------------------------------


def pack(numbers):
    values = [float(number) for number in numbers.split(",")]
    return struct.pack(f"<{len(values)}f", *values)


def quoted(data):
    return '"' + "".join(f"\\x{byte:02x}" for byte in data) + '"'


def unquoted(text):
    """The bytes of what redis-cli prints between quotes."""
    named = {"n": b"\n", "r": b"\r", "t": b"\t", "a": b"\a", "b": b"\b"}
    parts = re.findall(r"\\x([0-9a-f]{2})|\\(.)|([^\\])", text)
    return b"".join(
        bytes.fromhex(code) if code else named.get(escaped, (escaped or plain).encode())
        for code, escaped, plain in parts
    )


def close(one, other):
    if re.fullmatch(r"-?\d+", one) and re.fullmatch(r"-?\d+", other):
        return one == other
    return float(one) == pytest.approx(float(other), rel=1e-4, abs=1e-6)


def same_vector(expected, printed):
    data = unquoted(printed)
    return len(data) == len(pack(expected)) and struct.unpack(
        f"<{len(data) // 4}f", data
    ) == pytest.approx(struct.unpack(f"<{len(data) // 4}f", pack(expected)), rel=1e-4, abs=1e-6)


def line_matches(expected, line):
    pattern, comparisons, end = "", [], 0
    for found in re.finditer(rf"{VECTOR.pattern}|({NUMBER.pattern})|\.\.\.", expected):
        pattern += re.escape(expected[end : found.start()])
        end = found.end()
        if found[1] is not None:
            pattern += QUOTED
            comparisons.append((same_vector, found[1]))
        elif found[2] is not None:
            pattern += f"({NUMBER.pattern})"
            comparisons.append((close, found[2]))
        else:
            pattern += ".*"
    found = re.fullmatch(pattern + re.escape(expected[end:]), line)
    return bool(found) and all(
        compare(wanted, came) for (compare, wanted), came in zip(comparisons, found.groups())
    )


def matches(expected, lines):
    """Whether the lines are the expected ones; see the head of this file."""
    if not expected:
        return not lines
    if expected[0] == "...":
        return any(matches(expected[1:], lines[at:]) for at in range(len(lines) + 1))
    return bool(lines) and line_matches(expected[0], lines[0]) and matches(expected[1:], lines[1:])


def test_differences_are_found():
    assert matches(["a", "...", "z"], ["a", "b", "c", "z"])
    assert matches(['1) "0.230961"'], ['1) "0.23096025"'])
    assert matches(["2) f32(1, 0)"], ['2) "\\x00\\x00\\x80?\\x00\\x00\\x00\\x00"'])
    assert matches(['state => f32(1)'], ['state => "\\x00\\x00\\x80?"'])
    assert not matches(["2) f32(1, 0.5)"], ['2) "\\x00\\x00\\x80?\\x00\\x00\\x00\\x00"'])
    assert not matches(["(integer) 1"], ["(integer) 2"])
    assert not matches(['"0.25"'], ['"0.26"'])
    assert not matches(["OK"], ["OK", "OK"]) and not matches(["OK", "OK"], ["OK"])


def split(text, prompt):
    """The commands of an example, and the lines that it expects."""
    lines = text.splitlines()
    commands = [line[len(prompt) :] for line in lines if line.startswith(prompt)]
    return commands, [line for line in lines if not line.startswith(prompt)]


def check(block, expected, printed):
    lines = [line.rstrip() for line in printed.splitlines() if not ELAPSED.match(line)]
    assert matches(expected, lines), (
        f"{block.document.relative_to(ROOT)}:{block.line} shows\n"
        + "\n".join(expected)
        + "\n\nbut what came is\n"
        + "\n".join(lines)
    )


# --- Examples -------------------------------------------------------------------------------------


class Hosts:
    """A server that keeps its data and one that does not, started when they are first needed, and
    again after an example has ended them."""

    def __init__(self, folder):
        self.folder = folder
        self.servers = {}
        self.started = 0

    def get(self, durable):
        server = self.servers.get(durable)
        if server is None or has_ended(server):
            self.started += 1
            folder = self.folder / f"{self.started}"
            server = live.Server(folder) if durable else InMemory(folder)
            self.servers[durable] = server
        with server.redis() as client:
            client.flushall()
        return server

    def end(self):
        for server in self.servers.values():
            server.end()


def has_ended(server):
    """Waits for a server that an example has told to end."""
    try:
        with server.redis() as client:
            return not client.ping()
    except redis.ConnectionError:
        server.wait()
        return True


class InMemory(live.Server):
    """engram without --dir."""

    def __init__(self, folder):
        folder.mkdir()
        self.nowhere = folder / "working-directory"
        self.nowhere.mkdir()
        # Not live.Server's own beginning, which names a directory.
        live.Process.__init__(
            self,
            ["env", "-C", self.nowhere, *live.engram_command("serve", "--port", 0)],
            folder,
        )
        self.port = int(live.wait_until(self._announced_port, "the server listens"))

    def end(self):
        super().end()
        assert not list(self.nowhere.iterdir()), "a server without --dir writes no file"


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    started = Hosts(tmp_path_factory.mktemp("hosts"))
    yield started
    started.end()


def redis_cli(server, commands, home):
    """What redis-cli prints, as on a terminal."""
    script = VECTOR.sub(lambda match: quoted(pack(match[1])), "\n".join(commands) + "\n")
    done = subprocess.run(
        ["redis-cli", "-p", str(server.port), "--no-raw"],
        input=script,
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=live.PATIENCE_SECONDS,
    )
    return done.stdout


@pytest.mark.parametrize("block", examples("redis"))
def test_examples_of_commands(hosts, tmp_path, block):
    server = hosts.get(durable="memory" not in block.words)
    setup, replies = split(setup_of(block.document), "> ")
    if setup:
        check(block, replies, redis_cli(server, setup, tmp_path))
    commands, expected = split(block.text, "> ")
    check(block, expected, redis_cli(server, commands, tmp_path))


def wait_for_server(port):
    ping = f"redis-cli -p {port} PING >/dev/null 2>&1"
    return f"for _ in {{1..400}}; do {ping} && break; sleep 0.05; done"


@pytest.mark.skipif(live.SANITIZED, reason="they build a graph, which takes minutes there")
def add_redis_with_module(folder):
    """The module where a build has it, and the program that redis-tools brings under another name."""
    if "ENGRAM_MODULE" not in os.environ:
        pytest.skip("the module is not built")
    module = folder / "build" / "server" / "hosts" / "module" / "engram.so"
    module.parent.mkdir(parents=True)
    module.symlink_to(os.environ["ENGRAM_MODULE"])
    (folder / "bin").mkdir()
    (folder / "bin" / "redis-server").symlink_to(shutil.which("redis-check-rdb"))


@pytest.mark.parametrize("block", examples("console"))
def test_examples_of_the_shell(tmp_path, block):
    port = str(live.free_port())
    program = tmp_path / "build" / "server" / "engram"
    program.parent.mkdir(parents=True)
    program.symlink_to(os.environ["ENGRAM_SERVER"])
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    if "engram.so" in block.text:
        add_redis_with_module(tmp_path)
    commands, expected = split(block.text.replace(USUAL_PORT, port), "$ ")
    script = ["trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT"]
    for command in commands:
        script.append(command)
        if command.endswith("&"):
            script.append(wait_for_server(port))
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=4 * live.PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    check(block, expected, done.stdout)


@pytest.mark.parametrize("block", examples("pycon"))
def test_examples_of_python(hosts, block):
    if "import engramdb" in block.text:
        pytest.importorskip("engramdb", reason="the Python package is not built")
    port = str(hosts.get(durable=True).port)
    name = str(block.document.relative_to(ROOT))
    session = doctest.DocTestParser().get_doctest(
        block.text.replace(USUAL_PORT, port), {}, name, name, block.line
    )
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    told = []
    assert runner.run(session, out=told.append).failed == 0, "".join(told)


# --- The table of commands ------------------------------------------------------------------------


def as_map(reply):
    return dict(zip(reply[::2], reply[1::2], strict=True))


def text_of(value):
    return value.decode() if isinstance(value, bytes) else value


def syntax_of(arguments):
    """Arguments as COMMAND DOCS has them, in the notation of the document."""
    return " ".join(syntax_of_one(as_map(argument)) for argument in arguments)


def syntax_of_one(argument):
    flags = {text_of(flag) for flag in argument.get(b"flags", [])}
    kind = text_of(argument[b"type"])
    children = [as_map(child) for child in argument.get(b"arguments", [])]
    separator = " | " if kind == "oneof" else " "
    text = separator.join(map(syntax_of_one, children)) or text_of(argument[b"name"])
    token = text_of(argument.get(b"token", b""))
    if kind == "pure-token":
        text = token
    elif kind == "oneof" and "multiple" in flags:
        text, kind = f"<{text}>", "block"
    if "multiple" in flags and "optional" in flags and not token:
        text = f"{text} ..."
    elif "multiple" in flags:
        text = f"{text} [{text} ...]"
    if token and kind != "pure-token":
        text = f"{token} {text}"
    if "optional" in flags:
        return f"[{text}]"
    return f"<{text}>" if kind == "oneof" else text


@pytest.fixture(scope="module")
def table(hosts):
    """Name, syntax, cost and summary of every command and subcommand, by the server."""
    found = {}

    def add(name, docs):
        docs = as_map(docs)
        title = text_of(name).upper().replace("|", " ")
        syntax = f"{title} {syntax_of(docs.get(b'arguments', []))}".strip()
        found[title] = (syntax, text_of(docs[b"complexity"]), text_of(docs[b"summary"]) + ".")
        for subcommand, its_docs in as_map(docs.get(b"subcommands", [])).items():
            add(subcommand, its_docs)

    with hosts.get(durable=True).wire() as wire:
        listed = wire.call("COMMAND", "LIST")
        for name, docs in as_map(wire.call("COMMAND", "DOCS")).items():
            add(name, docs)
    assert {text_of(name).upper().replace("|", " ") for name in listed} == set(found)
    return found


def sections():
    """The parts of COMMANDS.md that are of one command: by their titles, (syntax, cost, summary)."""
    text = FENCE.sub("", COMMANDS.read_text(encoding="utf-8"))
    found = {}
    for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        title, _, rest = section.partition("\n")
        head, _, rest = rest.strip().partition("\n\n")
        syntax, _, cost = head.partition(" · ")
        found[title] = (syntax.strip("`"), cost, rest.partition("\n\n")[0].replace("\n", " "))
    return found


def test_every_command_has_a_section(table):
    assert sorted(sections()) == sorted(table)


@pytest.mark.parametrize("title", sorted(sections()))
def test_a_section_says_what_the_table_says(table, title):
    if title not in table:
        pytest.fail("the server has no such command")
    syntax, cost, text = sections()[title]
    wanted_syntax, wanted_cost, summary = table[title]
    assert (syntax, cost) == (wanted_syntax, wanted_cost)
    assert text.startswith(summary), f"it does not begin with the table's summary: {summary}"


# --- Links ----------------------------------------------------------------------------------------


def anchors(document):
    """The fragments that GitHub gives the headings of a document."""
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        target, _, fragment = link.partition("#")
        if re.match(r"\w+:", target):
            continue
        path = (document.parent / target).resolve() if target else document
        if not path.exists() or (fragment and fragment not in anchors(path)):
            dead.append(link)
    assert not dead


@pytest.fixture(scope="module")
def tree():
    """Paths of all sources, each behind a slash."""
    return [
        f"/{path.relative_to(ROOT)}"
        for folder in (*FOLDERS, ".ci")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".cc", ".h", ".py", ".sh")
    ]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_that_are_named_exist(tree, document):
    """A file may be named by the end of its path."""
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"`((?:\.\./)*[\w./-]+\.(?:cc|h|py|sh))[` ]", text)
    ends = {"/" + re.sub(r"^(\.\.?/)+", "", name) for name in named if "yours" not in name}
    assert not [end for end in ends if not any(path.endswith(end) for path in tree)]
