# The runs of `benches/load.sh` and the rows of its table.
# shellcheck shell=bash disable=SC2034,SC2154

# row MEASUREMENT BARE MINIMAL APPSERVER RATIO GOAL: a line of the table, unless computing one of its figures failed.
row() {
  [[ ! -e $dir/failed ]] || exit 1
  printf '| %s | %s | %s | %s | %s | %s |\n' "$@" | sed 's/  */ /g'
}

calculated() { awk "BEGIN { printf \"$1\", $2 }" || fail "this is no number: $2"; }
ratio() { calculated %.2f "$1 / $2"; }
is_true() { awk "BEGIN { exit !($1) }"; }

# at_most VALUE LIMIT [TEXT], at_least VALUE LIMIT [TEXT]: the goal, and whether it is missed. A quick run judges nothing.
at_most() { judged "$1 <= $2" "≤ $2${3:+ $3}"; }
at_least() { judged "$1 >= $2" "≥ $2${3:+ $3}"; }
judged() {
  if [[ $quick ]] || is_true "$1"; then echo "$2"; else echo "$2: **missed**"; fi
}

# value NAME LINE: one figure of the load tool's line.
value() {
  [[ " $2" =~ \ $1=([^ ]+) ]] || fail "the load tool's line has no '$1': $2"
  echo "${BASH_REMATCH[1]}"
}

# none_failed LINE: a server that refuses is not measured.
none_failed() { [[ $(value failed "$1") == 0 ]] || fail "requests failed: $1"; }

# The line of the least disturbed round, by what sent the requests.
declare -A best
# Numbers of new tokens that nobody requested before.
next_number=0

# by_turns CONNECTIONS FIGURE KIND…: sends the requests of each kind, by turns because the machine is not the same for long.
# A kind is SERVER:REQUESTS.
by_turns() {
  local connections=$1 figure=$2 round kind line
  shift 2
  best=()
  for ((round = 0; round < rounds; round++)); do
    for kind; do
      request_of "$kind"
      if [[ $figure == took ]]; then
        # Each herd wants one token that nobody has.
        line=$(load herd "${request[@]//\{\}/$next_number}" --connections "$connections")
      else
        line=$(load closed "${request[@]}" --first "$next_number" --connections "$connections" --seconds "$seconds" \
          --pid "${pids[${kind%:*}]}")
      fi
      none_failed "$line"
      next_number=$((next_number + 10000000))
      if [[ -z ${best[$kind]:-} ]] || is_true "$(value "$figure" "$line") < $(value "$figure" "${best[$kind]}")"; then
        best[$kind]=$line
      fi
    done
  done
}

# request_of SERVER:REQUESTS: the load tool's arguments, in $request.
request_of() {
  local -n words=${1#*:}
  request=(--address "${addresses[${1%:*}]}" "${words[@]}")
}

# of KIND FIGURE…: figures of the kind's best round.
of() {
  local kind=$1 figure list=()
  shift
  for figure; do list+=("$(value "$figure" "${best[$kind]}")"); done
  (IFS=,; echo "${list[*]}") | sed 's/,/, /g'
}

run_hits() {
  start_sts 0
  start_bare
  start_minimal
  start_service
  by_turns 32 cpu bare:hit minimal:hit service:hit service:user
  local of_hit of_user
  of_hit=$(ratio "$(of service:hit cpu)" "$(of bare:hit cpu)") of_user=$(ratio "$(of service:user cpu)" "$(of bare:hit cpu)")
  row 'a cached token, audit in a file: CPU, µs' "$(of bare:hit cpu)" "$(of minimal:hit cpu)" "$(of service:hit cpu)" \
    "$of_hit" "$(at_most "$of_hit" 1.25)"
  row 'the same for a user whose JWT was verified before' "$(of bare:hit cpu)" '' "$(of service:user cpu)" "$of_user" \
    "$(at_most "$of_user" 1.3)"
  row 'cached tokens a second on one core' "$(of bare:hit per_second)" "$(of minimal:hit per_second)" \
    "$(of service:hit per_second)" '' ''
  row 'p50, p99, p99.9, µs, 32 connections' "$(of bare:hit p50 p99 p999)" "$(of minimal:hit p50 p99 p999)" \
    "$(of service:hit p50 p99 p999)" '' ''
  row 'memory, MB' "$(of bare:hit memory)" "$(of minimal:hit memory)" "$(of service:hit memory)" '' ''
  stopped service minimal bare sts
}

# Each other promise of the audit, and none.
run_audit() {
  local variable
  start_sts 0
  start_bare
  for variable in DURABILITY=queue DURABILITY=disk SINK=off; do
    start_service "APPSERVER__AUDIT__$variable"
    by_turns 32 cpu bare:hit service:hit
    row "a cached token, \`audit.${variable,,}\`: CPU, µs" "$(of bare:hit cpu)" '' "$(of service:hit cpu)" \
      "$(ratio "$(of service:hit cpu)" "$(of bare:hit cpu)")" ''
    stopped service
  done
  stopped bare sts
}

run_tls() {
  local times
  start_sts 0
  start_bare "$dir/tls.crt" "$dir/tls.key"
  start_service "APPSERVER__SERVER__TLS__CERTIFICATE_FILE=$dir/tls.crt" "APPSERVER__SERVER__TLS__KEY_FILE=$dir/tls.key"
  tls_hit=("${hit[@]}" --trust "$dir/tls.crt")
  by_turns 32 cpu bare:tls_hit service:tls_hit
  times=$(ratio "$(of service:tls_hit cpu)" "$(of bare:tls_hit cpu)")
  row 'a cached token over TLS: CPU, µs' "$(of bare:tls_hit cpu)" '' "$(of service:tls_hit cpu)" "$times" \
    "$(at_most "$times" 1.3)"
  stopped service bare sts
}

# With two accounts, because a core does more than one budget allows: a server that waits for its budget works less economically
# than one that is busy.
run_misses() {
  local times
  start_sts 0
  make_second_account
  start_minimal both
  start_service
  by_turns 32 cpu minimal:both service:both
  times=$(ratio "$(of service:both cpu)" "$(of minimal:both cpu)")
  row 'a new token: CPU, µs' '' "$(of minimal:both cpu)" "$(of service:both cpu)" "$times" "$(at_most "$times" 1.2)"
  row 'new tokens a second on one core' '' "$(of minimal:both per_second)" "$(of service:both per_second)" '' ''
  row 'p50, p99, p99.9, µs, 32 connections' '' "$(of minimal:both p50 p99 p999)" "$(of service:both p50 p99 p999)" '' ''
  more=''
  stopped service minimal sts
}

# The same with Alibaba's own clients of STS, where the packages of tests/sdk/run.sh are installed.
run_samples() {
  local name hits misses speeds=()
  start_sts 0
  for name in node python; do
    if [[ ! -e target/sdk/$name ]]; then
      echo "benches/load.sh: the samples need the packages that tests/sdk/run.sh installs" >&2
      continue
    fi
    "start_$name" same
    by_turns 32 cpu "$name:hit"
    hits=$(of "$name:hit" cpu) speeds=("$(of "$name:hit" per_second)")
    stopped "$name"
    "start_$name" other
    by_turns 32 cpu "$name:miss"
    misses=$(of "$name:miss" cpu) speeds+=("$(of "$name:miss" per_second)")
    stopped "$name"
    row "by the sample for ${name^} with the official SDK: a cached token, a new token: CPU, µs" '' "$hits, $misses" '' '' ''
    row 'the same: tokens a second on one core' '' "${speeds[0]}, ${speeds[1]}" '' '' ''
  done
  stopped sts
}

run_wide() {
  local cpu speed name
  start_sts 50
  make_second_account
  start_minimal both
  start_service
  by_turns "$wide" cpu minimal:both service:both
  cpu=$(ratio "$(of service:both cpu)" "$(of minimal:both cpu)")
  speed=$(ratio "$(of service:both per_second)" "$(of minimal:both per_second)")
  name="new tokens, $wide connections, STS takes 50 ms"
  row "$name: CPU, µs" '' "$(of minimal:both cpu)" "$(of service:both cpu)" "$cpu" "$(at_most "$cpu" 1.3)"
  row "$name: tokens a second" '' "$(of minimal:both per_second)" "$(of service:both per_second)" "$speed" \
    "$(at_least "$speed" 0.9)"
  more=''
  stopped service minimal sts
}

run_herd() {
  local times before calls=()
  start_sts 50
  start_minimal other
  start_service
  by_turns "$herd" took minimal:miss service:miss
  times=$(ratio "$(of service:miss took)" "$(of minimal:miss took)")
  row "$herd callers of one uncached token, STS takes 50 ms: the last, ms" '' "$(of minimal:miss took)" \
    "$(of service:miss took)" "$times" "$(at_most "$times" 1.1)"
  for server in minimal service; do
    before=$(sts_calls)
    rounds=1 by_turns "$herd" took "$server:miss"
    calls+=($(($(sts_calls) - before)))
  done
  row 'the same: calls of STS' '' "${calls[@]}" '' "$(at_most "${calls[1]}" 1)"
  stopped service minimal sts
}

run_fleet() {
  local line calls throttled
  start_emulator
  start_service APPSERVER__VEND__BUDGET__CALLS_PER_SECOND=96 APPSERVER__VEND__BUDGET__BURST=4
  curl -fsS -X DELETE "$emulator/calls"
  fault '{"Fault": {"Slow": {"DelayMs": 50}}, "Action": "AssumeRole"}'
  fault '{"Fault": {"Quota": {"PerSecond": 100}}, "Action": "AssumeRole"}'
  line=$(load fleet --address "${addresses[service]}" "${miss[@]}" --clients "$fleet" --per-second 200)
  none_failed "$line"
  calls=$(emulator_calls .value) throttled=$(emulator_calls 'select(.key | startswith("Throttling")) | .value')
  line=$(calculated %.2f "$(value took "$line") / 1000")
  row "$fleet new clients, 200 a second, quota 100 a second: the last token, s" '' '' "$line" '' "$(at_most "$line" 10.5)"
  row 'the same: calls of STS, of them throttled' '' '' "$calls, $throttled" '' "$(at_most "$throttled" 0)"
  stopped service sts
}

run_idle() {
  local server request line served=() silent=() closed=()
  start_sts 0
  for server in bare minimal service; do
    "start_$server"
    request_of "$server:hit"
    line=$(load idle "${request[@]}" --connections "$idle" --pid "${pids[$server]}")
    none_failed "$line"
    served+=("$(value served "$line")") silent+=("$(value silent "$line")")
    sleep "$rest"
    closed+=("$(calculated %.1f "$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/${pids[$server]}/status") / 1000")")
    stopped "$server"
  done
  row "memory with $idle idle connections after one token each, MB" "${served[@]}" '' "$(at_most "${served[2]}" 120)"
  row 'the same before their first request' "${silent[@]}" '' ''
  row "the same $rest s after they are closed" "${closed[@]}" '' ''
  stopped sts
}

# Far more tokens than are kept, all of them twice.
run_churn() {
  local line grown
  start_sts 0
  start_service APPSERVER__VEND__MAX_CACHED_TOKENS=1000
  line=$(load churn --address "${addresses[service]}" "${miss[@]}" --connections 32 --keys "$keys" --pid "${pids[service]}")
  none_failed "$line"
  grown=$(calculated %.1f "$(value highest "$line") - $(value before "$line")")
  row "$keys tokens twice, \`max_cached_tokens = 1000\`: memory over the start, MB" '' '' "$grown" '' "$(at_most "$grown" 40)"
  row 'the same: memory at the start, after each round, MB' '' '' \
    "$(value before "$line"), $(value once "$line"), $(value twice "$line")" '' ''
  stopped service sts
}

# least_start SERVER COMMAND…: milliseconds from the start to the first token, the least of some.
least_start() {
  local took='' line round
  for ((round = 0; round < starts; round++)); do
    line=$(load start --address "${addresses[$1]}" "${hit[@]}" -- taskset -c "$SERVER_CORE" "${@:2}")
    line=$(value took "$line")
    if [[ -z $took ]] || is_true "$line < $took"; then took=$line; fi
  done
  echo "$took"
}

run_start() {
  local ours minimal
  start_sts 0
  # Writes the configuration.
  start_service
  stopped service
  ours=$(least_start service "$appserver" serve --config "$dir/load.toml")
  addresses[minimal]=127.0.0.1:$(free_port)
  minimal_vendor "${addresses[minimal]}" same
  minimal=$(least_start minimal "${minimal_vendor[@]}")
  row 'first token after the start, ms' '' "$minimal" "$ours" '' "$(at_most "$ours" 8)"
  stopped sts
}

# In a folder of its own, so that the binary which is measured stays.
run_size() {
  local file sizes=()
  # A development build with everything tells nothing, and takes no time.
  if [[ $quick ]]; then
    cp "$appserver" "$dir/appserver"
  else
    cargo build --locked --quiet --release --no-default-features
    cp "$appserver" "$dir/appserver"
    cargo build --locked --quiet --release
  fi
  for file in "$built/examples/bare" "$built/examples/minimal" "$dir/appserver"; do
    strip -o "$dir/stripped" "$file"
    sizes+=("$(calculated %.1f "$(stat -c %s "$dir/stripped") / 1e6")")
  done
  row 'the stripped binary, without the emulator, MB' "${sizes[@]}" '' "$(at_most "${sizes[2]}" 10)"
}

declare -A client_of=([hit]=same [miss]=other)

# counted SERVER:REQUESTS NUMBER [VARIABLE=VALUE…]: instructions of the whole life of a server that answers so many
# requests, and those of them that compute SHA-1 and SHA-256, in $counted and $counted_sha.
counted() {
  local server=${1%:*}
  wrapper=(valgrind --tool=callgrind "--callgrind-out-file=$dir/callgrind.out" "--log-file=$dir/callgrind.log")
  case $server in
    minimal) start_minimal "${client_of[${1#*:}]}" ;;
    # The look at the configuration's files takes place by the clock and not by requests.
    service) start_service APPSERVER__RELOAD__WATCH_INTERVAL_MS=0 "${@:3}" ;;
    *) "start_$server" ;;
  esac
  wrapper=()
  request_of "$1"
  none_failed "$(load count "${request[@]}" --requests "$2")"
  stopped "$server"
  counted=$(sed -n 's/^summary: //p' "$dir/callgrind.out")
  counted_sha=$(awk "$OF_SHA" "$dir/callgrind.out")
}

# Sums the instructions of the functions themselves that compute SHA-1 and SHA-256, in callgrind's format: names have
# numbers, and the line after `calls=` is what the called function took.
# shellcheck disable=SC2016
OF_SHA='
  /^c?fn=/ {
    number = $1
    sub(/^c?fn=/, "", number)
    if (NF > 1) is_sha[number] = /sha1.*compress|sha2.*compress|sha1_block|sha256_block/
    if (/^fn=/) counts = is_sha[number]
  }
  /^calls=/ { getline; next }
  /^[0-9+*-]/ { if (counts) sum += $2 }
  END { printf "%d", sum }'

# per_request SERVER:REQUESTS [VARIABLE=VALUE…]: instructions of one request, in $all, and without SHA, in $plain. What the
# start and the first requests take is in both counts, and drops out; a quick run has one count and the start in it.
per_request() {
  local once=0 once_sha=0
  if [[ ! $quick ]]; then
    counted "$1" "$few" "${@:2}"
    once=$counted once_sha=$counted_sha
  fi
  counted "$1" $((2 * few)) "${@:2}"
  all=$(((counted - once) / few))
  plain=$((all - (counted_sha - once_sha) / few))
}

run_instructions() {
  local bare minimal minimal_all ours
  command -v valgrind >/dev/null || {
    echo 'benches/load.sh: instructions are not counted: valgrind is missing' >&2
    return
  }
  start_sts 0
  per_request bare:hit
  bare=$all
  per_request minimal:hit
  minimal_all=$all minimal=$plain
  per_request service:hit
  ours=$plain
  row 'a cached token, SHA in software: instructions' "$bare" "$minimal_all" "$all" "$(ratio "$all" "$bare")" ''
  row 'the same, SHA taken out' "$bare" "$minimal" "$plain" "$(ratio "$plain" "$bare")" "$(at_most "$plain" 22000)"
  per_request service:hit APPSERVER__AUDIT__SINK=off
  row "the same, \`audit.sink = off\`" "$bare" '' "$plain" "$(ratio "$plain" "$bare")" ''
  row 'a lone line of the audit: instructions' '' '' "$((ours - plain))" '' ''
  per_request service:user
  row 'a cached token, JWT verified before, SHA taken out: instructions' "$bare" '' "$plain" "$(ratio "$plain" "$bare")" ''
  per_request minimal:miss
  minimal_all=$all minimal=$plain
  per_request service:miss
  row 'a new token, SHA in software: instructions' '' "$minimal_all" "$all" "$(ratio "$all" "$minimal_all")" ''
  row 'the same, SHA taken out' '' "$minimal" "$plain" "$(ratio "$plain" "$minimal")" "$(at_most "$plain" 110000)"
  stopped sts
}
