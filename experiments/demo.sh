#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Walks through HTTP and the command line: starts a server of its own in a temporary directory, shows each command as one
# would type it, and what it prints.
#
#   experiments/demo.sh [PROGRAM]     default: build/server/engram
#
# It ends with 0 if every command did, and if there was one for each route of /openapi.json and each subcommand.
set -euo pipefail
cd "$(dirname "$0")/.."

program="$(realpath -e "${1:-build/server/engram}")" ||
  { echo "demo.sh: there is no ${1:-build/server/engram}; build it, or name another" >&2; exit 2; }
start_seconds=20
widest=400
server=
scratch="$(mktemp -d)"
walked="$scratch/walked"
commands="$scratch/commands"

end() {
  if [[ -n "$server" ]]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$scratch"
}

free_port() {
  /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Sets server, port and url.
start_server() {
  local attempt http_port
  http_port="$(free_port)"
  : >"$scratch/log"  # it may be read before the server has begun to write
  "$program" serve --port 0 --http-port "$http_port" --dir "$scratch/data" 2>"$scratch/log" &
  server=$!
  for ((attempt = 0; attempt < start_seconds * 20; ++attempt)); do
    port="$(sed -nE 's/.* is ready: .*; 127\.0\.0\.1:([0-9]+); http.*/\1/p' "$scratch/log")"
    url="http://127.0.0.1:$http_port"
    [[ -n "$port" ]] && return
    kill -0 "$server" 2>/dev/null || break
    sleep 0.05
  done
  echo "The server did not start:" >&2
  cat "$scratch/log" >&2
  exit 1
}

say() { printf '\n\n# %s\n' "$1"; }

# Runs a command in the scratch directory. Long lines are cut for people, and only there.
run() {
  printf '\n$ %s\n' "$1"
  (cd "$scratch" && PATH="$(dirname "$program"):$PATH" CURL_HOME="$scratch" url="$url" bash -o pipefail -c "$1") >"$scratch/out" ||
    { cat "$scratch/out"; echo "demo.sh: this command failed: $1" >&2; exit 1; }
  sed -E "s/^(.{$widest}).+/\1 .../" "$scratch/out"
  [[ -z "$(tail -c 1 "$scratch/out")" ]] || echo
}

# ask METHOD PATH [JSON [MORE]]: a request; MORE of the command stands behind it.
ask() {
  local command=curl
  [[ "$1" == GET || "$1" == POST && -n "${3-}" ]] || command+=" -X $1"
  command+=" \"\$url$2\""
  [[ -z "${3-}" ]] || command+=" --json '$3'"
  run "$command${4-}"
  echo "$1 ${2%%\?*}" >>"$walked"
}

# engram SUBCOMMAND [ARGUMENTS]: as one types them
engram() {
  run "engram $*"
  echo "$1" >>"$commands"
}

vectors() {
  say "Vectors, and the nearest to one. The first insert makes the collection 'default'."
  ask POST /vectors '{"id": "a", "vector": [1, 0, 0], "metadata": {"color": "red", "year": 1999}}'
  ask POST /vectors/batch '{"vectors": [{"id": "b", "vector": [0, 1, 0]}, {"id": "c", "vector": {"base64": "AAAAAAAAAAAAAIA/"}}]}'
  ask GET /vectors/a
  ask GET '/vectors?limit=2&metadata=true'
  ask POST /search '{"vector": [1, 0.1, 0], "k": 2}'
  ask POST /search '{"vector": [0, 1, 0], "filter": ".year < 2000 and .color == \"red\""}'
  ask POST /search/batch '{"vectors": [[1, 0, 0], [0, 0, 1]], "k": 1, "include_metadata": false}'
  ask DELETE /vectors/a
}

collections() {
  say "Collections, each with a dimension, a metric and a primitive of its own."
  ask GET /primitives '' ' | grep -o "\"name\":\"[a-z]*\",\"summary\":\"[^\"]*\""'
  ask PUT /collections/notes '{"dim": 2, "metric": "l2", "options": {"M": 8}}'
  ask POST /collections/notes/vectors '{"id": "n", "vector": [3, 4]}'
  ask POST /collections/notes/vectors/batch '{"vectors": [{"id": "o", "vector": [3, 5]}, {"id": "p", "vector": [-1, 0]}]}'
  ask GET /collections/notes/vectors
  ask GET /collections/notes/vectors/n
  ask POST /collections/notes/search '{"vector": [0, 0], "k": 1}'
  ask POST /collections/notes/search/batch '{"vectors": [[0, 0], [3, 4]], "k": 1}'
  ask GET '/collections/notes/map?sample=10'
  ask DELETE /collections/notes/vectors/n
  ask GET /collections
  ask GET /collections/notes
  ask DELETE /collections/notes
}

memories() {
  say "Memories: of nine pixels only the first row is known, and the rest is recalled."
  ask PUT /collections/shapes '{"dim": 9, "metric": "l2", "primitive": "hopfield", "options": {"BETA": 50}}'
  ask POST /collections/shapes/vectors/batch '{"vectors": [{"id": "cross", "vector": [1,0,1, 0,1,0, 1,0,1]}, {"id": "plus", "vector": [0,1,0, 1,1,1, 0,1,0]}, {"id": "ring", "vector": [1,1,1, 1,0,1, 1,1,1]}]}'
  ask POST /collections/shapes/recall '{"vector": [1,0,1, 0,0,0, 0,0,0], "mask": "0-2"}'
  ask POST /collections/shapes/energy '{"vector": [1,0,1, 0,1,0, 1,0,1]}'
  ask POST /collections/shapes/tune '{"sample": 3, "seed": 1}'
  ask GET '/collections/shapes/diag?sample=3&seed=1'
}

dynamics() {
  say "Strengths that halve in an hour: touched, forgotten, merged."
  ask PUT /collections/diary '{"dim": 2, "metric": "l2", "primitive": "flat", "options": {"DECAY": "exp 3600000"}}'
  ask POST /collections/diary/vectors/batch '{"vectors": [{"id": "today", "vector": [1, 0]}, {"id": "again", "vector": [1, 0.01]}, {"id": "long ago", "vector": [0, 1]}]}'
  ask POST /collections/diary/touch '{"ids": ["today", "again"], "gain": 3}'
  ask POST /collections/diary/strengths '{"ids": ["today", "long ago", "never"]}'
  ask POST /collections/diary/forget '{"below": 2}'
  ask POST /collections/diary/consolidate '{"radius": 0.1}'
}

service() {
  say "The server itself."
  ask GET /health
  ask POST /snapshot
  ask GET /metrics '' ' | grep -E "^engram_(build_info|commands_total|index_items)"'
  ask GET /metrics '' ' -H "Accept: application/json"'
  ask GET /openapi.json '' ' -o openapi.json'
  run "head -c 300 openapi.json"
  ask GET / '' ' | sed -n 1,8p'
  ask GET /docs '' ' | sed -n 1,8p'
  ask GET /assets/page.css '' ' | sed -n 1,8p'
}

command_line() {
  say "The command line, on that server."
  engram list --port "$port" --collection shapes
  engram search 1,0,1,0,1,0,1,0,0 --port "$port" --collection shapes --k 2
  engram client put --port "$port" --id 100 --vector 0.1,0.2,0.3
  engram client search --port "$port" --vector 0.1,0.2,0.4 --k 1
  say "And on a directory, without a server."
  export ENGRAM_DATA_DIR="$scratch/own"
  engram insert v1 --vector '"1.0,2.0,3.0"'
  engram insert v2 --vector '"-1,2,3"' --attributes "'{\"year\": 1995}'"
  engram search '"1.1,2.1,3.1"' --k 10
  engram search --key v1 --filter "'.year > 1990'" --json
  engram get v2
  engram recall '"1,2,2.9"'
  run "printf '%s\n' red,1,0,0 orange,1,0.5,0 blue,0,0,1 >colours.csv"
  engram import colours.csv --collection colours --metric l2 --index flat --quiet
  engram export colours.npy --collection colours --keys names --quiet
  run "cat names"
  engram info --collection colours
  engram delete v2
  engram list
  engram completion bash '|' sed -n 1,5p
  engram manual '|' sed -n 1,5p
  engram check own
}

# What was not walked.
find_missing() {
  "$program" --help >"$scratch/help"
  /usr/bin/python3 - "$scratch" <<'EOF'
import json, re, sys
from pathlib import Path

scratch = Path(sys.argv[1])
walked = (scratch / "walked").read_text().splitlines()
for path, methods in json.loads((scratch / "openapi.json").read_text())["paths"].items():
    for method in methods:
        route = re.compile(method.upper() + " " + re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)))
        if not any(map(route.fullmatch, walked)):
            print(method.upper(), path)
commands = {"serve", *(scratch / "commands").read_text().split()}
told = re.findall(r"^  ([a-z]+) ", (scratch / "help").read_text().partition("Subcommands:")[2], re.MULTILINE)
print(*(f"engram {name}" for name in told if name not in commands), sep="\n", end="")
EOF
}

trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir "$scratch/data"
printf '%s\n' silent show-error fail-with-body >"$scratch/.curlrc"
start_server
printf '$ url=%s\n' "$url"
vectors
collections
memories
dynamics
service
command_line
missing="$(find_missing)"
if [[ -n "$missing" ]]; then
  printf '\ndemo.sh: these are not shown:\n%s\n' "$missing" >&2
  exit 1
fi
printf '\nThat was every route and every subcommand.\n'
