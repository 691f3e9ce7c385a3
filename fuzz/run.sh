#!/usr/bin/env bash
# Runs fuzz targets one after the other by libFuzzer, and prints of each how many inputs it ran, how many edges of the code
# they covered, and its finding. The first finding of a target ends its run; its input is kept in target/fuzz/findings.
#
#   fuzz/run.sh                             every target for 20 seconds
#   fuzz/run.sh --minutes 10 http1 policy   these targets for 10 minutes each
#   fuzz/run.sh --replay FILE http1         one input, with its backtrace
#   fuzz/run.sh --minimise                  keeps of what earlier runs found the least that covers as much
#   fuzz/run.sh --list                      the names of the targets
#
# What a run finds is kept in target/fuzz/inputs for the next one; fuzz/corpus is what it begins with. No sanitizer is used:
# the service has no unsafe code of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

target_dir=$PWD/target/fuzz
triple=$(rustc -vV | sed -n 's/^host: //p')
binary=$target_dir/$triple/release/fuzz

usage() {
  sed -n '5,9s/^# *//p' fuzz/run.sh >&2
  exit 64
}

# The flags are those of `cargo fuzz --sanitizer none`. With `--target`, they do not apply to build scripts.
build() {
  local flags=(-Cpasses=sancov-module)
  local option
  for option in -sanitizer-coverage-level=4 -sanitizer-coverage-inline-8bit-counters -sanitizer-coverage-pc-table \
    -sanitizer-coverage-trace-compares -simplifycfg-branch-fold-threshold=0; do
    flags+=("-Cllvm-args=$option")
  done
  # The versions are those of the service's own lock file, to which cargo adds libFuzzer's.
  [[ fuzz/Cargo.lock -nt Cargo.lock ]] || cp Cargo.lock fuzz/Cargo.lock
  RUSTFLAGS="${flags[*]} --cfg fuzzing" cargo build --quiet --release --manifest-path fuzz/Cargo.toml \
    --target "$triple" --target-dir "$target_dir"
}

# fuzz TARGET SECONDS: its row; false if there is a finding.
fuzz() {
  local inputs=$target_dir/inputs/$1 findings=$target_dir/findings/$1 log=$target_dir/$1.log status=0
  mkdir -p "$inputs" "$findings"
  FUZZ_TARGET=$1 "$binary" "$inputs" "fuzz/corpus/$1" -max_total_time="$2" -max_len=4096 -timeout=25 -rss_limit_mb=2048 \
    -artifact_prefix="$findings/" -print_final_stats=1 >"$log" 2>&1 || status=$?
  local runs edges
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  edges=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
  printf '%-18s %12s %8s  ' "$1" "${runs:-0}" "${edges:-0}"
  if [[ $status == 0 ]]; then
    echo none
    return
  fi
  sed -n 's/.*Test unit written to //p' "$log" | tail -n 1 | sed "s|$PWD/||"
  grep -A 3 -m 1 -E 'panicked at|ERROR: libFuzzer' "$log" >&2 || tail -n 5 "$log" >&2
  return 1
}

# Keeps the inputs of the corpus and of earlier runs that together cover what all of them cover, the shortest ones first.
minimise() {
  local inputs=$target_dir/inputs/$1 merged=$target_dir/merged/$1
  rm -rf "$merged"
  mkdir -p "$inputs" "$merged"
  FUZZ_TARGET=$1 "$binary" -merge=1 -max_len=4096 "$merged" "fuzz/corpus/$1" "$inputs" >"$target_dir/$1.log" 2>&1
  rm -rf "$inputs"
  mv "$merged" "$inputs"
}

seconds=20 replay='' action=fuzz targets=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --seconds | --minutes)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || usage
      seconds=$2
      [[ $1 == --seconds ]] || seconds=$((60 * $2))
      shift
      ;;
    --replay)
      [[ -f ${2:-} ]] || usage
      replay=$2
      shift
      ;;
    --minimise) action=minimise ;;
    --list)
      ls fuzz/corpus
      exit
      ;;
    -*) usage ;;
    *)
      [[ -d fuzz/corpus/$1 ]] || {
        echo "fuzz/run.sh: there is no target '$1'; fuzz/run.sh --list names them" >&2
        exit 64
      }
      targets+=("$1")
      ;;
  esac
  shift
done
[[ ${#targets[@]} -gt 0 ]] || mapfile -t targets < <(ls fuzz/corpus)

build
if [[ $replay ]]; then
  RUST_BACKTRACE=1 FUZZ_TARGET=${targets[0]} exec "$binary" "$replay"
fi
failed=0
[[ $action == minimise ]] || printf '%-18s %12s %8s  %s\n' target inputs edges finding
for target in "${targets[@]}"; do
  if [[ $action == minimise ]]; then
    minimise "$target"
  else
    fuzz "$target" "$seconds" || failed=1
  fi
done
exit "$failed"
