#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From a fresh clone to a conversation: installs what is missing, builds engram, starts it on the bundled
# words and asks it for the words nearest to "king", once through hnsw and once through flat.
#
#   experiments/quickstart.sh          the server stays until Ctrl-C
#   experiments/quickstart.sh --once   the server ends after the session
set -euo pipefail
cd "$(dirname "$0")/.."

usual_port=6380
start_seconds=20
once=false
case "${1-}" in
  "") ;;
  --once) once=true ;;
  *)
    echo "usage: experiments/quickstart.sh [--once]" >&2
    exit 2
    ;;
esac

build() {
  .ci/install.sh run
  if [[ ! -f build/build.ninja ]]; then
    /usr/bin/meson setup build -Dtests=false -Dbenchmarks=false >/dev/null
  fi
  ninja -C build server/engram
}

is_taken() { (: </dev/tcp/127.0.0.1/"$1") 2>/dev/null; }

# Sets server and port. The server announces where it listens; 0 lets the system choose.
start_server() {
  local wanted="$usual_port" log="$scratch/log" attempt
  if is_taken "$wanted"; then
    echo "Port $wanted is taken, so the system chooses another."
    wanted=0
  fi
  : >"$log"  # it may be read before the server has begun to write
  build/server/engram serve --port "$wanted" --dir "$scratch" 2>"$log" &
  server=$!
  for ((attempt = 0; attempt < start_seconds * 20; ++attempt)); do
    port="$(sed -nE 's/.*listening on 127\.0\.0\.1:([0-9]+).*/\1/p' "$log")"
    [[ -n "$port" ]] && return
    kill -0 "$server" 2>/dev/null || break
    sleep 0.05
  done
  echo "The server did not start:" >&2
  cat "$log" >&2
  exit 1
}

end() {
  if [[ -n "$server" ]]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$scratch"
}

# Shows a command as one would type it, then what it prints.
run() {
  printf '\n$ %s\n' "$1"
  bash -o pipefail -c "$1"
}

session() {
  local cli="redis-cli -p $port"
  run "experiments/load.py slice --port $port --index words --primitive hnsw"
  run "experiments/load.py slice --port $port --index words-exact --primitive flat"
  run "$cli VLIST"
  printf '\nA vector is binary: the first redis-cli fetches the one of "king", the second searches with it.\n'
  for index in words words-exact; do
    run "$cli -D '' --raw VGET $index king | $cli -X query VSEARCH $index query 8 | paste - -"
  done
}

hint() {
  cat <<EOF

engram listens on 127.0.0.1:$port until Ctrl-C. In another terminal, try
  experiments/neighbours.py --port $port --index words paris
  redis-cli -p $port VINFO words
  redis-cli -p $port VPRIMITIVES
EOF
}

build
server=
scratch="$(mktemp -d)"
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
start_server
session
if ! $once; then
  hint
  wait "$server"
fi
