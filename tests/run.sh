#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs every test of engram, or the stages that are named:
#
#   tests/run.sh [gcc] [asan] [tsan] [neon] [fuzz] [format] [lint]
#
#   gcc     release build with g++, all test suites
#   asan    clang++ with AddressSanitizer and UndefinedBehaviorSanitizer, all test suites
#   tsan    clang++ with ThreadSanitizer, what has threads
#   neon    the kernels for ARM, cross-compiled and run under emulation
#   fuzz    every fuzzer for FUZZ_SECONDS (30)
#   format  clang-format
#   lint    clang-tidy
#
# It installs the Debian packages it misses. A stage that fails does not stop the next; the last line reads
# "N passed, N failed", and the exit status says whether anything failed.
set -uo pipefail
cd "$(dirname "$0")/.."
# Debian's tools, whatever else the caller has on the path.
export PATH="/usr/bin:/bin:$PATH"
export PYTHONDONTWRITEBYTECODE=1

all_stages=(gcc asan tsan neon fuzz format lint)
fuzz_seconds="${FUZZ_SECONDS:-30}"
results="$(mktemp -d)"
current=
launcher=()  # stands before each `meson test`

# check NAME COMMAND...: runs a command and counts it as one test.
check() {
  local name="$1"
  shift
  if "$@"; then
    echo pass >>"$results/checks"
  else
    echo "FAILED: $name"
    echo "fail $name" >>"$results/checks"
    return 1
  fi
}

# What a sanitizer's report needs of debug information is the lines; more takes an eighth longer to compile.
lines=-Dcpp_args=-g1

# configure DIRECTORY COMPILERS [OPTION]...; COMPILERS is gcc or clang.
configure() {
  local directory="$1" cc="$2" cxx=g++ mode=()
  [[ "$cc" == clang ]] && cxx=clang++
  shift 2
  [[ -f "$directory/build.ninja" ]] && mode=(--reconfigure)
  CC="$cc" CXX="$cxx" meson setup "$directory" "${mode[@]}" --werror "$@" >"$results/setup.log" ||
    { cat "$results/setup.log"; return 1; }
}

# All errors in one go: what is learned from a build of many minutes should be everything.
build() { ninja -C "$1" --quiet -k 0 "${@:2}"; }

# Turns the log of `meson test` into one line for each test.
count_meson_tests() {
  /usr/bin/python3 - "$1/meson-logs/testlog.json" "$2" <<'EOF'
import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    test = json.loads(line)
    if test["result"] == "SKIP":
        continue
    good = test["result"] in ("OK", "EXPECTEDFAIL")
    print("pass" if good else f"fail {sys.argv[2]}: {test['name']} ({test['result']})")
EOF
}

# test_in DIRECTORY STAGE [ARGUMENT]... of `meson test`
test_in() {
  local directory="$1" stage="$2"
  shift 2
  rm -f "$directory/meson-logs/testlog.json"
  "${launcher[@]}" meson test -C "$directory" --no-rebuild --print-errorlogs "$@"
  count_meson_tests "$directory" "$stage" >>"$results/checks" || check "$stage: tests ran" false
}

stage_gcc() {
  check "gcc: configure" configure build-gcc gcc -Ddebug=false &&
    check "gcc: build" build build-gcc &&
    test_in build-gcc gcc
}

configure_asan() {
  configure build-asan clang -Dbuildtype=debugoptimized "$lines" -Db_sanitize=address,undefined \
    -Db_lundef=false -Dbenchmarks=false -Dfuzzers=true
}

stage_asan() {
  export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
  export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
  check "asan: configure" configure_asan &&
    check "asan: build" build build-asan &&
    test_in build-asan asan --timeout-multiplier 4
}

stage_tsan() {
  export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
  # ThreadSanitizer of clang 14 does not know the address layouts that newer kernels randomize into.
  setarch --addr-no-randomize true 2>/dev/null && launcher=(setarch --addr-no-randomize)
  check "tsan: configure" configure build-tsan clang -Dbuildtype=debugoptimized "$lines" -Db_sanitize=thread \
    -Db_lundef=false -Dbenchmarks=false &&
    check "tsan: build" build build-tsan &&
    test_in build-tsan tsan --timeout-multiplier 6
}

stage_neon() {
  check "neon: core tests" tests/core/neon.sh build-neon
}

fuzzers() {
  meson introspect build-asan --targets |
    /usr/bin/python3 -c 'import json, os, sys
for target in json.load(sys.stdin):
    if "/tests/fuzz/" in target["defined_in"] and target["type"] == "executable" and target["name"].endswith("_fuzz"):
        print(os.path.relpath(target["filename"][0], "build-asan"))'
}

stage_fuzz() {
  local names fuzzer kept
  check "fuzz: configure" configure_asan || return
  names="$(fuzzers)"
  # shellcheck disable=SC2086
  check "fuzz: build" build build-asan $names || return
  for fuzzer in $names; do
    mkdir -p "$results/corpus/$fuzzer"
    kept="tests/fuzz/corpus/$(basename "$fuzzer")"
    [[ -d "$kept" ]] || kept=
    check "fuzz: $fuzzer" "build-asan/$fuzzer" -max_total_time="$fuzz_seconds" -rss_limit_mb=2048 -timeout=10 \
      -print_final_stats=1 -verbosity=0 -artifact_prefix="$results/" "$results/corpus/$fuzzer" ${kept:+"$kept"} &
    while (($(jobs -rp | wc -l) >= $(nproc))); do wait -n; done
  done
  wait
}

sources() { git ls-files -- '*.cc' '*.h' '*.c'; }

stage_format() {
  check "format: clang-format" xargs clang-format --dry-run -Werror < <(sources)
}

stage_lint() {
  # How far the static analyzer follows the paths of a function. By default it is three times as far, which takes twice the time.
  local effort=(-extra-arg=-Xclang -extra-arg=-analyzer-config -extra-arg=-Xclang -extra-arg=max-nodes=75000)
  check "lint: configure" configure build-lint clang || return
  check "lint: clang-tidy" run-clang-tidy -quiet "${effort[@]}" -p build-lint "$PWD/(core|primitives|server)/.*\.cc$"
}

run_stage() {
  local stage="$1" start="$SECONDS" failed_before failed_after
  printf '\n=== %s\n' "$stage"
  failed_before="$(grep -c '^fail' "$results/checks")"
  # In the background as a process group of its own, so that an interrupted run can end all of it.
  set -m
  "stage_$stage" </dev/null &
  current=$!
  wait "$current"
  set +m
  current=
  failed_after="$(grep -c '^fail' "$results/checks")"
  printf '%-7s %4d s  %s\n' "$stage" "$((SECONDS - start))" \
    "$(((failed_after > failed_before)) && echo FAILED || echo passed)" >>"$results/stages"
}

end() {
  [[ -n "$current" ]] && kill -TERM -- "-$current" 2>/dev/null
  rm -rf "$results"
}

summarize() {
  local passed failed
  passed="$(grep -c '^pass' "$results/checks")"
  failed="$(grep -c '^fail' "$results/checks")"
  printf '\n=== summary\n'
  cat "$results/stages"
  sed -n 's/^fail /failed: /p' "$results/checks"
  printf '\n%d passed, %d failed\n' "$passed" "$failed"
  ((failed == 0 && passed > 0))
}

stages=("$@")
((${#stages[@]})) || stages=("${all_stages[@]}")
for stage in "${stages[@]}"; do
  [[ " ${all_stages[*]} " == *" $stage "* ]] && continue
  echo "tests/run.sh: there is no stage '$stage'; the stages are ${all_stages[*]}" >&2
  exit 2
done
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
touch "$results/checks" "$results/stages"
.ci/install.sh run test || exit 1
for stage in "${stages[@]}"; do run_stage "$stage"; done
summarize
