# What `benches/load.sh` starts: the servers that are compared, their callers' credentials, and STS.
# shellcheck shell=bash disable=SC2034,SC2119,SC2120,SC2154

# By the server's name: its process, and where it listens.
declare -A pids addresses
# What the servers run in, such as valgrind.
wrapper=()
# More of the service's configuration.
more=''

end() {
  local pid
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait
  rm -rf "$dir"
}

# fail TEXT: ends the run, and where this is a part of a command line, the next row does.
fail() {
  touch "$dir/failed"
  echo "benches/load.sh: $*" >&2
  tail -n 5 "$dir"/*.log >&2
  exit 1
}

# until_true COMMAND…: within a minute.
until_true() {
  local attempt
  for ((attempt = 0; attempt < 1200; attempt++)); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done
  fail "this did not come true: $*"
}

# A port below those that the kernel gives to clients, or the load tool's connections could meet themselves.
free_port() {
  local port
  while port=$((10240 + RANDOM % 20000)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

# started CORE NAME COMMAND…
started() {
  local core=$1 name=$2
  shift 2
  : >"$dir/$name.out"
  taskset -c "$core" "$@" >"$dir/$name.out" 2>"$dir/$name.log" &
  pids[$name]=$!
}

# listens NAME: waits for the line with the server's address.
listens() {
  until_true grep -q listening "$dir/$1.out"
  addresses[$1]=$(sed 's/listening on //' "$dir/$1.out")
}

stopped() {
  local name
  for name in "$@"; do
    kill "${pids[$name]}"
    wait "${pids[$name]}" || true
    unset "pids[$name]"
  done
}

# prepare: credentials of this run only, because `serve` takes none that is published, and the answer that the bare server
# repeats.
prepare() {
  secret=$(head -c 32 /dev/urandom | base64 | tr -d '+/=')
  hash=$(printf %s "$secret" | sha256sum | cut -d' ' -f1)
  export ALIBABA_CLOUD_ACCESS_KEY_ID=testid ALIBABA_CLOUD_ACCESS_KEY_SECRET=testsecret
  make_user_token
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost \
    -keyout "$dir/tls.key" -out "$dir/tls.crt" 2>"$dir/openssl.log"
  start_sts 0
  start_service
  load save "${hit[@]}" --address "${addresses[service]}" --file "$dir/answer" >"$dir/save.out"
  stopped service sts
}

base64url() { openssl base64 -A | tr '+/' '-_' | tr -d =; }

# A user's token, and the keys of its issuer.
make_user_token() {
  local modulus claims signed
  openssl genrsa -out "$dir/issuer.key" 2048 2>"$dir/openssl.log"
  modulus=$(openssl rsa -in "$dir/issuer.key" -noout -modulus | sed 's/Modulus=//; s/../\\x&/g')
  modulus=$(printf %b "$modulus" | base64url)
  printf '{"keys":[{"kty":"RSA","kid":"1","use":"sig","alg":"RS256","e":"AQAB","n":"%s"}]}' "$modulus" >"$dir/jwks.json"
  claims=$(printf '{"iss":"https://login.example.com/","aud":"photos","sub":"user-1","exp":%d,"iat":%d}' \
    $(($(date +%s) + 86400)) "$(date +%s)" | base64url)
  signed=$(printf '{"alg":"RS256","typ":"JWT","kid":"1"}' | base64url).$claims
  user_token=$signed.$(printf %s "$signed" | openssl dgst -sha256 -sign "$dir/issuer.key" | base64url)
  hit=(--user "same:$secret")
  miss=(--user "other:$secret" --path '/v1/token?Parameters.album=a{}')
  user=(--bearer "$user_token")
}

# start_service [VARIABLE=VALUE…]: AppServer, with a budget of STS calls that nothing here reaches unless a variable sets it.
start_service() {
  local listen admin
  listen=127.0.0.1:$(free_port) admin=127.0.0.1:$(free_port)
  cat >"$dir/load.toml" <<TOML
[server]
listen = "$listen"
max_connections = 12000
# They all come from here.
max_connections_per_address = 0
# A busy machine takes its time to open ten thousand.
header_timeout_ms = 60000
[admin]
listen = "$admin"
[sts]
endpoints = ["http://${addresses[sts]}"]
[vend.budget]
calls_per_second = 10000
burst = 1000
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
# As most will have it.
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
[issuers.company]
issuer = "https://login.example.com/"
jwks_file = "$dir/jwks.json"
algorithms = ["RS256"]
[issuers.company.audiences]
photos = ["same"]
$more
TOML
  started "$SERVER_CORE" service env "$@" "${wrapper[@]}" "$appserver" serve --config "$dir/load.toml"
  until_true curl -fs "http://$admin/readyz"
  addresses[service]=$listen
}

# The most that a budget can be is less than what a core can do: a second account has a second budget.
make_second_account() {
  echo second >"$dir/second.id"
  echo testsecret >"$dir/second.secret"
  more="
[sts.upstreams.second]
endpoints = [\"http://${addresses[sts]}\"]
[sts.upstreams.second.identity]
source = \"access-key\"
[sts.upstreams.second.identity.access_key]
source = \"files\"
id_file = \"$dir/second.id\"
secret_file = \"$dir/second.secret\"
[roles.second]
arn = \"acs:ram::55667788:role/oss-readonly\"
upstream = \"second\"
[grants.second-album]
role = \"second\"
policy = \"$PWD/config/policies/one-album.json\"
parameters.album = { kind = \"segment\", max_length_bytes = 64 }
[clients.both]
grants = [\"one-album\", \"second-album\"]
secret_sha256 = [\"$hash\"]"
  both=(--user "both:$secret" --path '/v1/token?Grant=one-album&Parameters.album=a{}'
    --path '/v1/token?Grant=second-album&Parameters.album=a{}')
}

# start_bare [CERTIFICATE KEY]
start_bare() {
  started "$SERVER_CORE" bare "${wrapper[@]}" "$built/examples/bare" "$dir/answer" "$@"
  listens bare
}

# minimal_vendor LISTEN CLIENT: its command, in $minimal_vendor.
minimal_vendor() {
  minimal_vendor=("$built/examples/minimal" --listen "$1" --sts "http://${addresses[sts]}" --key-id testid
    --key-secret testsecret --role acs:ram::11223344:role/oss-readonly --client "$2" --secret-sha256 "$hash"
    --policy config/policies/one-album.json)
}

# start_minimal [CLIENT]
start_minimal() {
  minimal_vendor 127.0.0.1:0 "${1:-same}"
  started "$SERVER_CORE" minimal "${wrapper[@]}" "${minimal_vendor[@]}"
  listens minimal
}

# start_node CLIENT, start_python CLIENT: the samples with Alibaba's clients of STS.
start_node() {
  NODE_PATH=target/sdk/node/node_modules started "$SERVER_CORE" node node benches/samples/vendor.js "${sample[@]/CLIENT/$1}"
  listens node
}

start_python() {
  started "$SERVER_CORE" python target/sdk/python/bin/python -B benches/samples/vendor.py "${sample[@]/CLIENT/$1}"
  listens python
}

# start_sts DELAY_MS
start_sts() {
  started "$LOAD_CORE" sts "$built/examples/sts" --delay-ms "$1"
  listens sts
  sample=("${addresses[sts]}" testid testsecret acs:ram::11223344:role/oss-readonly CLIENT "$hash"
    config/policies/one-album.json)
}

sts_calls() { curl -fsS "http://${addresses[sts]}/calls"; }

# The emulator, which has a quota.
start_emulator() {
  addresses[sts]=127.0.0.1:$(free_port)
  emulator=http://${addresses[sts]}/_emulator
  started "$LOAD_CORE" sts "$appserver" emulator --sts-port "${addresses[sts]##*:}" --oss-port 0 --ram-port 0 --metadata-port 0
  until_true curl -fs "$emulator/calls"
}

fault() { curl -fsS -o "$dir/faults" -H 'Content-Type: application/json' -d "$1" "$emulator/faults"; }
emulator_calls() { curl -fsS "$emulator/calls" | jq "[.Totals.AssumeRole // {} | to_entries[] | $1] | add // 0"; }

load() { timeout 900 taskset -c "$LOAD_CORE" "$built/examples/load" "$@"; }
