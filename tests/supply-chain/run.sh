#!/usr/bin/env bash
# The dependencies: licences, bans and sources by cargo-deny, and unused ones by cargo-machete. The tools are
# pinned and compiled into target/tools.
#
#   tests/supply-chain/run.sh
#
# Advisories are checked where their database is: ADVISORY_DB names a clone of https://github.com/rustsec/advisory-db.
set -euo pipefail
cd "$(dirname "$0")/../.."
tools=$PWD/target/tools

# tool NAME VERSION
tool() {
  [[ -x $tools/bin/$1 && $("$tools/bin/$1" --version) == *"$2"* ]] && return
  cargo install --quiet --locked --root "$tools" --version "$2" "$1"
}
tool cargo-deny 0.20.2
tool cargo-machete 0.9.2

checks=(licenses bans sources)
if [[ ${ADVISORY_DB:-} ]]; then
  checks+=(advisories)
  export CARGO_DENY_DB_PATH=$ADVISORY_DB
else
  echo "no ADVISORY_DB: advisories are not checked"
fi
"$tools/bin/cargo-deny" --offline --config tests/supply-chain/deny.toml --log-level error check "${checks[@]}"
"$tools/bin/cargo-machete" --with-metadata
