#!/usr/bin/env bash
# The load run: the release binary against the emulator, beside a bare axum server that answers the same bytes.
#
#   benches/load.sh            all of it, about three minutes after building
#   benches/load.sh hits herd  only these: hits misses herd fleet idle start instructions
#
# It needs two cores: the server has one, the load tool (which spins) and the emulator share the other. Instructions are
# counted by perf where the machine lets it, and otherwise by valgrind. Loopback only, free ports, and every process
# that it starts ends with it.
set -euo pipefail
cd "$(dirname "$0")/.."

runs=(hits misses herd fleet idle start instructions)
if (($#)); then runs=("$@"); fi
for command in cargo curl jq sha256sum taskset awk; do
  command -v "$command" >/dev/null || { echo "benches/load.sh: '$command' is missing" >&2; exit 1; }
done
[[ $(nproc) -ge 2 ]] || { echo "benches/load.sh: two cores are needed" >&2; exit 1; }

# Apart, so that the service is built as it is shipped and not with the features that tests need.
cargo build --locked --quiet --release
cargo build --locked --quiet --release --example load --example bare
appserver=target/release/appserver bare=target/release/examples/bare load=target/release/examples/load
SERVER_CORE=0 LOAD_CORE=1

dir=$(mktemp -d)
declare -A running
end() {
  for pid in "${!running[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$dir"
}
trap end EXIT

say() { printf '%s\n' "$*"; }
row() { printf '%-52s %17s   %s\n' "$1" "$2" "${3:-}" | sed 's/ *$//'; }
calculated() { awk "BEGIN { printf \"$1\", $2 }"; }
load() { timeout 120 taskset -c "$LOAD_CORE" "$load" "$@"; }

# value NAME LINE: one figure of the load tool's line.
value() { tr ' ' '\n' <<<"$2" | sed -n "s/^$1=//p"; }

# A port below those that the kernel gives to clients, or the load tool's connections could meet themselves.
free_port() {
  local port
  while port=$((10240 + RANDOM % 20000)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  say "$port"
}

# until_true COMMAND…: within half a minute.
until_true() {
  for _ in {1..600}; do "$@" >/dev/null 2>&1 && return; sleep 0.05; done
  echo "benches/load.sh: this did not come true: $*" >&2
  tail -n 5 "$dir"/*.log >&2
  exit 1
}

# stopped PID: ends a process that was started here.
stopped() {
  unset "running[$1]"
  kill "$1"
  wait "$1" || true
}

# The secret is this run's own: `serve` takes none that is published.
secret=$(head -c 32 /dev/urandom | base64 | tr -d '+/=')
hash=$(printf %s "$secret" | sha256sum | cut -d' ' -f1)
public=$(free_port) admin=$(free_port) sts=$(free_port)
cat >"$dir/load.toml" <<TOML
[server]
listen = "127.0.0.1:$public"
max_connections = 12000
# They all come from here.
max_connections_per_address = 0
# A busy machine takes its time to open ten thousand.
header_timeout_ms = 60000
[admin]
listen = "127.0.0.1:$admin"
[sts]
endpoints = ["http://127.0.0.1:$sts"]
[roles.oss-readonly]
arn = "acs:ram::11223344:role/oss-readonly"
[grants.one-album]
role = "oss-readonly"
policy = "$PWD/config/policies/one-album.json"
[grants.one-album.parameters.album]
kind = "segment"
max_length_bytes = 64
[grants.daily-photos]
role = "oss-readonly"
policy = "$PWD/config/policies/daily-photos.json"
# Written to a file, as most will be; a hit is counted without it, too.
[audit]
sink = "file"
file = "$dir/audit.jsonl"
max_files = 1
[clients.same]
grants = ["daily-photos"]
secret_sha256 = ["$hash"]
[clients.other]
grants = ["one-album"]
secret_sha256 = ["$hash"]
TOML
export ALIBABA_CLOUD_ACCESS_KEY_ID=testid ALIBABA_CLOUD_ACCESS_KEY_SECRET=testsecret
hit=(--address "127.0.0.1:$public" --user "same:$secret")
miss=(--address "127.0.0.1:$public" --user "other:$secret" --path '/v1/token?Parameters.album=a{}')

taskset -c "$LOAD_CORE" "$appserver" emulator --sts-port "$sts" --oss-port 0 --ram-port 0 --metadata-port 0 >/dev/null 2>"$dir/emulator.log" &
running[$!]=emulator
emulator=http://127.0.0.1:$sts/_emulator
until_true curl -fs "$emulator/calls"
fault() { curl -fsS -o "$dir/faults" -H 'Content-Type: application/json' -d "$1" "$emulator/faults"; }
forget() { curl -fsS -X DELETE "$emulator/faults"; curl -fsS -X DELETE "$emulator/calls"; }
sts_calls() { curl -fsS "$emulator/calls" | jq "[.Totals.AssumeRole // {} | to_entries[] | $1] | add // 0"; }

# serve RATE BURST [WRAPPER…]: starts the service, with that budget of STS calls; its pid is in $server.
serve() {
  local rate=$1 burst=$2
  shift 2
  APPSERVER__VEND__BUDGET__CALLS_PER_SECOND=$rate APPSERVER__VEND__BUDGET__BURST=$burst \
    taskset -c "$SERVER_CORE" "$@" "$appserver" serve --config "$dir/load.toml" 2>"$dir/server.log" &
  server=$!
  running[$server]=server
  until_true curl -fs "http://127.0.0.1:$admin/readyz"
}

# serve_bare [WRAPPER…]: starts the server that ours is compared with; $server and $bare_at.
serve_bare() {
  : >"$dir/bare.out"
  taskset -c "$SERVER_CORE" "$@" "$bare" "$dir/answer" >"$dir/bare.out" 2>"$dir/bare.log" &
  server=$!
  running[$server]=server
  until_true grep -q listening "$dir/bare.out"
  bare_at=(--address "$(sed 's/listening on //' "$dir/bare.out")")
}

# The answer whose bytes the bare server repeats.
serve 10000 1000
load save "${hit[@]}" --file "$dir/answer" >/dev/null
stopped "$server"

# compared FILTER [SINK [DURABILITY]]: hits of both servers by turns, because the machine is not the same for long; of each the least
# disturbed round.
compared() {
  local filter=$1 sink=${2:-file} durability=${3:-process} line name ours='' theirs=''
  less() { [[ -z $1 ]] || awk "BEGIN { exit !($(value cpu "$2") < $(value cpu "$1")) }"; }
  serve_bare
  local other=$server
  APPSERVER__AUDIT__SINK=$sink APPSERVER__AUDIT__DURABILITY=$durability APPSERVER__LOG__FILTER=$filter \
    serve 10000 1000
  for _ in 1 2 3; do
    line=$(load closed "${bare_at[@]}" --connections 32 --seconds 2 --pid "$other")
    if less "$theirs" "$line"; then theirs=$line; fi
    line=$(load closed "${hit[@]}" --connections 32 --seconds 2 --pid "$server")
    if less "$ours" "$line"; then ours=$line; fi
  done
  stopped "$server"
  stopped "$other"
  for name in theirs ours; do
    line=${!name}
    row "hits, $([[ $name == ours ]] && echo "AppServer, log.filter = $filter, audit.sink = $sink, durability = $durability" || echo bare axum): a second" \
      "$(value per_second "$line")"
    row "  CPU µs a request" "$(value cpu "$line")"
    row "  p50, p99, p99.9 µs" "$(value p50 "$line"), $(value p99 "$line"), $(value p999 "$line")"
    row "  memory MB" "$(value memory "$line")"
  done
  row "  CPU, times the bare server's" \
    "$(calculated %.2f "$(value cpu "$ours") / $(value cpu "$theirs")")" "at most 1.2"
}

# As it is shipped, then with each other promise of the audit, without it, and with hardly any log: a hit writes no line
# of the log either way.
run_hits() {
  compared info
  compared info file queue
  compared info file disk
  compared info off
  compared warn
}

run_misses() {
  local line open
  serve 10000 1000
  line=$(load closed "${miss[@]}" --connections 32 --seconds 3 --pid "$server")
  open=$(value connections "$(load connections-to --address "127.0.0.1:$sts")")
  stopped "$server"
  row "misses: requests a second" "$(value per_second "$line")"
  row "  CPU µs a request" "$(value cpu "$line")"
  row "  p50, p99, p99.9 µs" "$(value p50 "$line"), $(value p99 "$line"), $(value p999 "$line")"
  row "  memory MB, with all those tokens" "$(value memory "$line")"
  row "  connections to STS, for $(value answers "$line") calls" "$open" "pooled"
}

run_herd() {
  local line
  serve 96 4
  forget
  fault '{"Fault": {"Slow": {"DelayMs": 200}}, "Action": "AssumeRole"}'
  line=$(load herd "${hit[@]}" --connections 2000)
  row "herd of 2,000 on a cold key, STS takes 200 ms: ms" "$(value took "$line")" "at most 320"
  row "  STS calls" "$(sts_calls .value)" "1"
  row "  without a token" "$(value failed "$line")" "0"
  forget
  stopped "$server"
}

run_fleet() {
  local line
  serve 96 4
  forget
  fault '{"Fault": {"Slow": {"DelayMs": 50}}, "Action": "AssumeRole"}'
  fault '{"Fault": {"Quota": {"PerSecond": 100}}, "Action": "AssumeRole"}'
  line=$(load fleet "${miss[@]}" --clients 1000 --per-second 200)
  row "1,000 new clients, 200 a second: the last, s" "$(calculated %.2f "$(value took "$line") / 1000")" "at most 10.5"
  row "  STS calls" "$(sts_calls .value)" "at most 1,005"
  row "  of them throttled" "$(sts_calls 'select(.key | startswith("Throttling")) | .value')" "0"
  row "  without a token" "$(value failed "$line")" "0"
  forget
  stopped "$server"
}

run_idle() {
  local line
  serve_bare
  line=$(load idle "${bare_at[@]}" --connections 10000 --pid "$server")
  row "10,000 idle connections, bare axum: memory MB" "$(value served "$line")"
  stopped "$server"
  serve 10000 1000
  line=$(load idle "${hit[@]}" --connections 10000 --pid "$server")
  row "10,000 idle connections, AppServer: memory MB" "$(value served "$line")" "at most 120"
  row "  before their first request" "$(value silent "$line")"
  stopped "$server"
}

run_start() {
  local round took best=''
  for round in 1 2 3 4 5; do
    took=$(value took "$(load start "${hit[@]}" -- \
      taskset -c "$SERVER_CORE" "$appserver" serve --config "$dir/load.toml")")
    if [[ -z $best ]] || awk "BEGIN { exit !($took < $best) }"; then best=$took; fi
  done
  row "first token after the start, best of $round: ms" "$best" "at most 20"
}

# counted KIND REQUESTS: instructions of the whole life of a server that answers so many.
counted() {
  local kind=$1 requests=$2 target
  local wrapper=(valgrind --tool=callgrind --callgrind-out-file=/dev/null "--log-file=$dir/callgrind")
  case $kind in
    bare) serve_bare "${wrapper[@]}"; target=("${bare_at[@]}") ;;
    hit) serve 10000 1000 "${wrapper[@]}"; target=("${hit[@]}") ;;
    quiet) APPSERVER__LOG__FILTER=warn serve 10000 1000 "${wrapper[@]}"; target=("${hit[@]}") ;;
    unaudited) APPSERVER__AUDIT__SINK=off serve 10000 1000 "${wrapper[@]}"; target=("${hit[@]}") ;;
    miss) serve 10000 1000 "${wrapper[@]}"; target=("${miss[@]}") ;;
  esac
  load count "${target[@]}" --requests "$requests" >/dev/null
  stopped "$server"
  sed -n 's/.*Collected : //p' "$dir/callgrind"
}

# measured KIND REQUESTS: the same by perf, of a server that runs.
measured() {
  local kind=$1 requests=$2 target
  case $kind in
    bare) serve_bare; target=("${bare_at[@]}") ;;
    hit) serve 10000 1000; target=("${hit[@]}") ;;
    quiet) APPSERVER__LOG__FILTER=warn serve 10000 1000; target=("${hit[@]}") ;;
    unaudited) APPSERVER__AUDIT__SINK=off serve 10000 1000; target=("${hit[@]}") ;;
    miss) serve 10000 1000; target=("${miss[@]}") ;;
  esac
  taskset -c "$LOAD_CORE" perf stat -x, -e instructions:u -o "$dir/perf" -p "$server" \
    "$load" count "${target[@]}" --requests "$requests" >/dev/null
  stopped "$server"
  sed -n 's/,.*instructions.*//p' "$dir/perf"
}

run_instructions() {
  local by kind what goal once twice
  if perf stat -x, -e instructions:u true 2>&1 | grep -q '^[0-9]'; then
    by=measured
    say "instructions are counted by perf"
  elif command -v valgrind >/dev/null; then
    by=counted
    say "instructions are counted by valgrind's callgrind: perf cannot count them here"
  else
    say "instructions are not counted: perf cannot do it here, and valgrind is missing"
    return
  fi
  # The start and the first requests are in both counts, and drop out.
  for kind in bare hit unaudited quiet miss; do
    once=$($by "$kind" 1000)
    twice=$($by "$kind" 2000)
    case $kind in
      bare) what="of the bare server" goal="" ;;
      hit) what="of a hit" goal="at most 20,000" ;;
      unaudited) what="of a hit, audit.sink = off" goal="at most 20,000" ;;
      quiet) what="of a hit, log.filter = warn" goal="at most 20,000" ;;
      miss) what="of a miss" goal="at most 130,000" ;;
    esac
    row "instructions $what" "$(((twice - once) / 1000))" "$goal"
  done
}

row "on $(nproc) cores of $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1)" "" "goal"
for run in "${runs[@]}"; do "run_$run"; done
