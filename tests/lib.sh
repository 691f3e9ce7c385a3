# The common parts of the suites in the folders beside this file. They source it from the repository's root; `made` is
# the suite's own folder below target/.
# shellcheck shell=bash disable=SC2034,SC2154

# All requests stay on this machine, so no proxy is used; not every SDK respects NO_PROXY. Set after packages are
# installed, which may need the proxy.
without_proxies() {
  unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY
}

# python_of FOLDER REQUIREMENTS: a Python environment with exactly the pinned packages, created once.
python_of() {
  cmp -s "$2" "$1/requirements.txt" && return
  rm -rf "$1"
  python3 -m venv "$1"
  "$1/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$2"
  "$1/bin/pip" check
  cp "$2" "$1/"
}

# The pids of what `start_dev` started.
services=()
stop() {
  local service
  for service in "${services[@]}"; do
    kill "$service" 2>/dev/null || true
    wait "$service" || true
  done
  services=()
}
trap stop EXIT

# start_dev FLAGS…: `appserver dev` on free ports; returns when it is ready. `urls` are
# those of the service, the admin listener, STS, OSS, one more that is free, the metadata server, and RAM; `log` is the
# file of its standard error. A suite that needs them before the start defines a function `configure`.
start_dev() {
  local ports attempt
  # Another process may take a free port before the service does.
  for attempt in 1 2 3; do
    read -ra ports < <(python3 -c '
import socket
taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(7)]
print(*(s.getsockname()[1] for s in taken))')
    urls=("${ports[@]/#/http://127.0.0.1:}")
    if declare -F configure >/dev/null; then configure; fi
    greeted "$@" --port "${ports[0]}" --admin-port "${ports[1]}" --sts-port "${ports[2]}" --oss-port "${ports[3]}" \
      --metadata-port "${ports[5]}" --ram-port "${ports[6]}" && return
  done
  cat "$log" >&2
  exit 1
}

greeted() {
  local line
  rm -f "$made/greeting"
  mkfifo "$made/greeting"
  # Of its own: a later service would overwrite it.
  log=$made/service-${#services[@]}.log
  "${CARGO_TARGET_DIR:-target}/debug/appserver" dev "$@" >"$made/greeting" 2>"$log" &
  services+=("$!")
  while read -r line; do
    [[ $line != "Ctrl-C ends it."* ]] || return 0
  done <"$made/greeting"
  return 1
}
