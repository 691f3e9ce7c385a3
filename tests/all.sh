#!/usr/bin/env bash
# The test command: installs what the tests need and this machine lacks, then runs everything.
#
#   tests/all.sh
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$*"; }

# need COMMAND PACKAGE: the Debian package is installed as root or with sudo.
need() {
  command -v "$1" >/dev/null || install_package "$@"
}

sudo=()
[[ $(id -u) == 0 ]] || sudo=(sudo)

install_package() {
  [[ ${#sudo[@]} == 0 ]] || command -v sudo >/dev/null || {
    echo "tests/all.sh: '$1' is missing: install the package '$2', or run this as root or with sudo" >&2
    exit 1
  }
  command -v apt-get >/dev/null || {
    echo "tests/all.sh: '$1' is missing, and there is no apt-get to install it: install '$2' by hand" >&2
    exit 1
  }
  update_packages
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq "$2" >/dev/null
}

update_packages() {
  [[ ${apt_updated:-} ]] || { "${sudo[@]}" apt-get update -qq; apt_updated=yes; }
}

# Prometheus's linter of metrics, out of its package: installed whole, that starts a server on the port of `dev`.
unpack_promtool() {
  update_packages
  mkdir -p target/tools
  (cd target/tools && apt-get download -qq prometheus && dpkg -x prometheus_*.deb . && rm prometheus_*.deb)
}

command -v cargo >/dev/null || {
  echo "tests/all.sh: cargo is missing: install Rust by rustup (https://rustup.rs)" >&2
  exit 1
}

step "what the tests need"
need curl curl
need openssl openssl
need jq jq
need shellcheck shellcheck
need python3 python3
need pgrep procps
need redis-server redis-server
need chromium chromium
need node nodejs
need npm npm
export PATH=$PATH:$PWD/target/tools/usr/bin
command -v promtool >/dev/null || unpack_promtool
# Debian's python3 comes without what makes environments.
python3 -c 'import ensurepip, venv' 2>/dev/null || install_package ensurepip python3-venv

step "shell scripts"
shellcheck tests/*.sh tests/*/*.sh benches/*.sh .ci/run

step "format"
cargo fmt --all --check

step "clippy, with and without the emulator, benchmarks included"
cargo clippy --locked --workspace --all-targets --features bench -- -D warnings
cargo clippy --locked --no-default-features --all-targets -- -D warnings

step "unit and integration tests"
cargo test --locked --workspace

step "official SDKs, pinned, against the service and its emulator"
tests/sdk/run.sh

step "a real OpenID provider, pinned, whose users the service believes"
tests/oidc/run.sh

step "TLS, by a scanner and by curl"
tests/tls/run.sh

step "the OpenAPI document, and the service held against it"
tests/openapi/run.sh

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

step "the page of \`appserver dev\`, in Chromium"
tests/page/run.sh

step "the commands of README.md and docs/, run as a stranger would"
tests/readme.py

echo
echo "tests/all.sh: all passed"
