#!/usr/bin/env bash
# The files below deploy/: manifests, chart and compose file by their schemas, alerts that fire and are resolved, the dashboard's
# expressions, the systemd unit's sandbox, nginx's configuration, and the configurations by `appserver check`.
#
#   tests/deploy/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
made=$PWD/target/deploy
mkdir -p "$made"
# shellcheck source=tests/lib.sh
source tests/lib.sh

python_of "$made/venv" tests/deploy/requirements.txt
cargo build --locked --quiet
appserver=${CARGO_TARGET_DIR:-target}/debug/appserver
promtool=$(command -v promtool || echo target/tools/usr/bin/promtool)

"$made/venv/bin/python" tests/deploy/configuration.py "$appserver"
"$made/venv/bin/python" tests/deploy/alerts.py "$promtool" "$made"

# The configurations as they are mounted; only the secrets are elsewhere.
for folder in compose kubernetes; do
  rm -rf "${made:?}/$folder"
  mkdir -p "$made/$folder"
  cp "deploy/$folder/appserver.toml" "$made/$folder/"
  cp -r config/policies "$made/$folder/"
  "$appserver" check --without-access-key --config "$made/$folder/appserver.toml"
done

# The system calls of a start, a request, a reload and a stop.
without_proxies
read -ra ports < <(python3 -c '
import socket
taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(6)]
print(*(s.getsockname()[1] for s in taken))')
strace -f -c -qq -o "$made/syscalls" "$appserver" dev --port "${ports[0]}" --admin-port "${ports[1]}" \
  --sts-port "${ports[2]}" --oss-port "${ports[3]}" --metadata-port "${ports[4]}" --ram-port "${ports[5]}" \
  >"$made/dev.log" 2>&1 &
services+=("$!")
for _ in {1..300}; do
  curl -sf "http://127.0.0.1:${ports[1]}/readyz" >"$made/readyz" && break
  sleep 0.1
done
curl -sf -u client-002:client-002-demo-secret "http://127.0.0.1:${ports[0]}/v1/token" >"$made/token"
curl -sf "http://127.0.0.1:${ports[1]}/metrics" >"$made/metrics"
traced=$(pgrep -P "${services[0]}")
kill -HUP "$traced"
sleep 1
kill -TERM "$traced"
wait "${services[0]}"
services=()

"$promtool" check metrics <"$made/metrics"
"$made/venv/bin/python" tests/deploy/manifests.py "$promtool" "$made"

"$made/venv/bin/python" tests/deploy/chart.py

# nginx in front of the service: its paths moved here, with a certificate of its own.
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=vend.example.com -days 2 \
  -keyout "$made/tls.key" -out "$made/tls.crt" 2>"$made/openssl.log"
temporary=$(for kind in client_body proxy fastcgi uwsgi scgi; do printf '%s_temp_path %s/%s; ' "$kind" "$made" "$kind"; done)
sed -e "s#/etc/nginx/tls#$made/tls#; s#/var/log/nginx#$made#; s#^http {#http { $temporary#" deploy/proxies/nginx.conf >"$made/nginx.conf"
"$(command -v nginx || echo target/tools/usr/sbin/nginx)" -t -q -p "$made" -e "$made/nginx-errors.log" \
  -g "pid $made/nginx.pid;" -c "$made/nginx.conf"
echo "nginx accepts its configuration"
