#!/usr/bin/env bash
# TLS of the public listener from outside: sslyze, pinned, in an environment of its own under target/tls/, and
# curl by both protocols and with a client certificate.
#
#   tests/tls/run.sh            sslyze's results are in target/tls/scan.json afterwards
set -euo pipefail
cd "$(dirname "$0")/../.."
made=$PWD/target/tls
mkdir -p "$made/pki"
# shellcheck source=tests/lib.sh
source tests/lib.sh

python_of "$made/python" tests/tls/requirements.txt
cargo build --locked --quiet

# Certificates of both sides, by a CA for this run.
openssl ecparam -name prime256v1 -genkey -noout -out "$made/pki/ca.key"
openssl req -x509 -new -key "$made/pki/ca.key" -days 30 -subj "/CN=AppServer test CA" \
  -addext keyUsage=critical,keyCertSign,cRLSign -out "$made/pki/ca.crt"
# signed NAME EXTENSIONS
signed() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$made/pki/$1.key"
  openssl req -new -key "$made/pki/$1.key" -subj "/O=Example/CN=$1" -out "$made/pki/$1.csr"
  openssl x509 -req -in "$made/pki/$1.csr" -CA "$made/pki/ca.crt" -CAkey "$made/pki/ca.key" -days 30 \
    -extfile <(printf '%s\n' "$2") -out "$made/pki/$1.crt" 2>"$made/openssl.log"
}
signed localhost "subjectAltName=DNS:localhost"
signed client "subjectAltName=URI:spiffe://example/client-002"

# The demo, with certificates for the server and for clients.
subject=$(openssl x509 -in "$made/pki/localhost.crt" -noout -subject -nameopt RFC2253 | sed 's/^subject=/subject:/')
rm -rf "$made/config"
cp -r config "$made/config"
sed -i -e '/^\[clients.client-002\]/a certificates = ["uri:spiffe://example/client-002"]' \
  -e "/^\[clients.client-003\]/a certificates = [\"$subject\"]" "$made/config/dev.toml"
cat >>"$made/config/dev.toml" <<'TOML'

[server.tls]
certificate_file = "../pki/localhost.crt"
key_file = "../pki/localhost.key"
client_certificates = "optional"
client_ca_file = "../pki/ca.crt"
TOML

without_proxies
start_dev --config "$made/config/dev.toml"
port=${urls[0]##*:}

# saw EXPECTED CURL-OPTION…: curl's shortened answer must be EXPECTED.
saw() {
  local expected=$1 seen
  shift
  seen=$(curl -sS --max-time 30 --cacert "$made/pki/ca.crt" -w '\n%{http_version}' "$@" | jq -rs '
    "HTTP/\(.[1]) \(.[0].StatusCode) \(.[0].Code) \(.[0].Client // .[0].Grant // "-")"')
  [[ $seen == "$expected" ]] || {
    echo "tests/tls/run.sh: curl $* saw '$seen', not '$expected'" >&2
    return 1
  }
}

url=https://localhost:$port
user=(--user client-002:client-002-demo-secret)
for version in --tlsv1.2 --tlsv1.3; do
  limit=(--tls-max "${version#--tlsv}")
  saw "HTTP/1.1 200 Success daily-photos" --http1.1 "$version" "${limit[@]}" "${user[@]}" "$url/v1/token"
  saw "HTTP/2 200 Success daily-photos" --http2 "$version" "${limit[@]}" "${user[@]}" "$url/v1/token"
done
of() { printf '%s\n' --cert "$made/pki/$1.crt" --key "$made/pki/$1.key"; }
mapfile -t client < <(of client)
mapfile -t other < <(of localhost)
saw "HTTP/2 200 Success client-002" "${client[@]}" "$url/v1/whoami"
saw "HTTP/1.1 200 Success client-002" --http1.1 "${client[@]}" "$url/v1/whoami"
# By its subject, which openssl writes in AppServer's form.
saw "HTTP/2 200 Success client-003" "${other[@]}" "$url/v1/whoami"
saw "HTTP/2 401 Unauthenticated -" "$url/v1/whoami"
curl -sS "${urls[1]}/metrics" | grep '^appserver_tls_certificate_expiry_timestamp_seconds [1-9]' >/dev/null

# The client certificate is optional, so that the scanner, which has none, can connect.
PYTHONWARNINGS=ignore "$made/python/bin/sslyze" --quiet --mozilla_config=intermediate --certinfo_ca_file="$made/pki/ca.crt" \
  --sslv2 --sslv3 --tlsv1 --tlsv1_1 --tlsv1_2 --tlsv1_3 --certinfo --compression --early_data --heartbleed \
  --openssl_ccs --robot --reneg --resum --fallback --ems --elliptic_curves \
  --json_out="$made/scan.json" "localhost:$port" >"$made/sslyze.log" || {
  cat "$made/sslyze.log" >&2
  exit 1
}
python3 tests/tls/check.py "$made/scan.json"
