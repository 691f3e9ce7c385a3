#!/usr/bin/env bash
# The load run: the service beside a bare axum server that answers the same bytes, and beside the minimal vendor
# (benches/minimal.rs). It prints a table in Markdown.
#
#   benches/load.sh                all of it with release builds
#   benches/load.sh hits herd      these runs: hits audit tls misses samples wide herd fleet idle churn start size instructions
#   benches/load.sh --full churn   a million keys, and not 200,000
#   benches/load.sh --quick        every row with small numbers and development builds: whether all of it runs
#
# It needs two cores: the server has one, the load tool (which spins) and STS share the other. Loopback only, free ports,
# and every process that it starts ends with it. Instructions are counted by valgrind's callgrind, where that is installed.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

all_runs=(hits audit tls misses samples wide herd fleet idle churn start size instructions)
quick='' keys=200000 runs=()
for word; do
  case $word in
    --quick) quick=yes ;;
    --full) keys=1000000 ;;
    --help)
      sed -n '2,/^$/{/^#/!q;s/^# \{0,1\}//p}' "$0"
      exit
      ;;
    *)
      [[ " ${all_runs[*]} " == *" $word "* ]] || {
        echo "benches/load.sh: there is no run '$word'; the runs are ${all_runs[*]}" >&2
        exit 64
      }
      runs+=("$word")
      ;;
  esac
done
((${#runs[@]})) || runs=("${all_runs[@]}")

for command in awk cargo curl jq openssl sha256sum strip taskset; do
  command -v "$command" >/dev/null || { echo "benches/load.sh: '$command' is missing" >&2; exit 1; }
done
[[ $(nproc) -ge 2 ]] || { echo "benches/load.sh: two cores are needed" >&2; exit 1; }

if [[ $quick ]]; then
  profile=debug flags=()
  rounds=1 seconds=0.2 starts=1 few=10 wide=100 herd=200 fleet=50 idle=200 rest=0 keys=2000
else
  profile=release flags=(--release)
  rounds=3 seconds=2 starts=5 few=1000 wide=1000 herd=2000 fleet=1000 idle=10000 rest=15
fi
# Apart, so that the service is built as it is shipped and not with the features that tests need.
cargo build --locked --quiet "${flags[@]}"
cargo build --locked --quiet "${flags[@]}" --example load --example bare --example minimal --example sts
built=${CARGO_TARGET_DIR:-target}/$profile
appserver=$built/appserver
SERVER_CORE=0 LOAD_CORE=1

dir=$(mktemp -d)
# shellcheck source=benches/load/servers.sh
source benches/load/servers.sh
# shellcheck source=benches/load/rows.sh
source benches/load/rows.sh
trap end EXIT

printf 'on %s cores of %s, %s build, %s\n\n' "$(nproc)" "$(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" \
  "$profile" "$(date -u +%F)"
row measurement 'bare axum' 'minimal vendor' AppServer ratio goal
row --- --- --- --- --- ---
prepare
for run in "${runs[@]}"; do "run_$run"; done
