#!/usr/bin/env bash
# The test command: installs what the tests need and this machine lacks, then runs the named parts, or all of the
# default ones, and prints how long each took.
#
#   tests/all.sh                 everything but `supply-chain`, `chaos`, `release` and `fuzz`
#   tests/all.sh lints unit      these parts, in this order
#   tests/all.sh --list          the names
set -euo pipefail
cd "$(dirname "$0")/.."

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

# unpack PACKAGE: one program out of a package that would start a server if it were installed, on the port of `dev` even.
unpack() {
  update_packages
  mkdir -p target/tools
  (cd target/tools && apt-get download -qq "$1" && dpkg -x "$1"_*.deb . && rm "$1"_*.deb)
}

# Needed by every part.
install_needs() {
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
  need strace strace
  need valgrind valgrind
  need objcopy binutils
  need make make
  need systemd-analyze systemd
  command -v promtool >/dev/null || [[ -x target/tools/usr/bin/promtool ]] || unpack prometheus
  command -v nginx >/dev/null || [[ -x target/tools/usr/sbin/nginx ]] || unpack nginx
  # Debian's python3 lacks the module for environments.
  python3 -c 'import ensurepip, venv' 2>/dev/null || install_package ensurepip python3-venv
}

default_parts=(scripts format lints unit sdk oidc tls openapi setup deploy doc page docs bench)
other_parts=(supply-chain chaos release fuzz)

# And what the report of tests/chaos.sh takes for a promise that is not kept.
scripts() {
  shellcheck tests/*.sh tests/*/*.sh benches/*.sh benches/*/*.sh deploy/*.sh fuzz/*.sh .ci/run
  python3 -m unittest discover --quiet tests/chaos
}

format() {
  cargo fmt --all --check
  cargo fmt --check --manifest-path fuzz/Cargo.toml
}

# With and without the emulator, benchmarks included.
lints() {
  cargo clippy --locked --workspace --all-targets --features bench,fuzz -- -D warnings
  cargo clippy --locked --no-default-features --all-targets -- -D warnings
}

# Unit, property and integration tests of all crates.
unit() { cargo test --locked --workspace; }

# Official SDKs, pinned, against the service and its emulator.
sdk() { tests/sdk/run.sh; }

# A certified OpenID provider, pinned, whose users the service authenticates.
oidc() { tests/oidc/run.sh; }

# TLS, by a scanner and by curl.
tls() { tests/tls/run.sh; }

# The OpenAPI document against the standard, and the service against the document.
openapi() { tests/openapi/run.sh; }

# The formats of `setup plan`, by parsers of their languages.
setup() { tests/setup/run.sh; }

# The files below deploy/, by the schemas and programs of their own worlds.
deploy() { tests/deploy/run.sh; }

doc() { RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items; }

# The page of `appserver dev`, in Chromium.
page() { tests/page/run.sh; }

# The commands in README.md and docs/, run as a new user would.
docs() { tests/readme.py; }

# Every row of the load run with small numbers and development builds: that it runs, not how fast.
bench() { benches/load.sh --quick; }

# Licences, sources, bans and duplicates of the dependencies, and dependencies that nothing uses. Not a default part: it
# compiles two tools.
supply_chain() { tests/supply-chain/run.sh; }

# Three replicas under load and every fault that the documentation has a promise about. Not a default part: it takes some
# four minutes, and a busy machine makes it slower, not only longer.
chaos() { tests/chaos.sh; }

# Two release builds in different folders, which must be equal, with what is published beside them. Not a default part: it
# compiles everything twice with optimisation, and two tools.
release() { deploy/release.sh; }

# Every fuzz target for 20 seconds. Not a default part: it compiles everything once more, and takes some ten minutes.
fuzz() {
  need g++ g++
  fuzz/run.sh --seconds 20
}

run() {
  local began=$SECONDS
  printf '\n== %s\n' "$1"
  "${1//-/_}"
  times+=("$(printf '%-14s %4d s' "$1" $((SECONDS - began)))")
}

if [[ ${1:-} == --list ]]; then
  printf '%s\n' "${default_parts[@]}" "${other_parts[@]}"
  exit
fi
for part in "$@"; do
  [[ " ${default_parts[*]} ${other_parts[*]} " == *" $part "* ]] || {
    echo "tests/all.sh: there is no part '$part'; tests/all.sh --list names them" >&2
    exit 64
  }
done
[[ $# -gt 0 ]] || set -- "${default_parts[@]}"

command -v cargo >/dev/null || {
  echo "tests/all.sh: cargo is missing: install Rust by rustup (https://rustup.rs)" >&2
  exit 1
}
export PATH=$PATH:$PWD/target/tools/usr/bin
times=()
began=$SECONDS
install_needs
for part in "$@"; do
  run "$part"
done

printf '\n'
printf '%s\n' "${times[@]}"
echo "tests/all.sh: $# parts passed in $((SECONDS - began)) s"
