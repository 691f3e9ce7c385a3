#!/usr/bin/env bash
# Builds a release of the commit that is checked out, twice and in different folders, and refuses it unless both builds are
# the same byte for byte.
#
#   deploy/release.sh            into target/dist
#   deploy/release.sh --once     without the second build
#   deploy/release.sh --image    the container image as well (not tested here; see the end of this file)
#
# target/dist then has:
#   appserver-VERSION-TARGET.tar.gz   the binary, which lists its dependencies (`cargo auditable`), with the example
#                                     configuration, its schema and the systemd unit
#   appserver-VERSION.cdx.json        the software bill of materials, CycloneDX
#   SHA256SUMS
#
# The binary is stripped and needs the C library of this machine or a newer one; its oldest version is printed. A build
# depends on the toolchain, which Cargo.toml pins, on the C compiler and on the linker: compare builds of one image.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

builds=(first second-build-in-a-longer-path)
image=
for option in "$@"; do
  case $option in
    --once) builds=(first) ;;
    --image) image=yes ;;
    *)
      echo "deploy/release.sh: there is no option '$option'; there are --once and --image" >&2
      exit 64
      ;;
  esac
done
[[ -z $(git status --porcelain) ]] || {
  echo "deploy/release.sh: a release is built from a commit: commit or stash the changes" >&2
  exit 1
}

commit=$(git rev-parse HEAD)
version=$(sed -n '/^\[workspace.package\]/,/^version/s/^version = "\(.*\)"/\1/p' Cargo.toml)
target=$(rustc -vV | sed -n 's/^host: //p')
name=appserver-$version-$target
made=$PWD/target/release-builds
dist=$PWD/target/dist
tools=$PWD/target/tools
rm -rf "$made" "$dist"
mkdir -p "$made" "$dist"

# tool NAME VERSION: compiled once, pinned.
tool() {
  grep -qs "^\"$1 $2 " "$tools/.crates.toml" && return
  env -u RUSTFLAGS cargo install --quiet --locked --root "$tools" --version "$2" "$1"
}
tool cargo-auditable 0.7.7
tool cargo-cyclonedx 0.5.9

# Nothing of the machine, the user and the day gets into what is built.
SOURCE_DATE_EPOCH=$(git show --no-patch --format=%ct HEAD)
export SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_STRIP=symbols
cargo_home=${CARGO_HOME:-$HOME/.cargo}
sysroot=$(rustc --print sysroot)

# build FOLDER: the sources of the commit, built there; prints the binary's path.
build() {
  local folder=$made/$1
  mkdir -p "$folder"
  git archive "$commit" | tar -x -C "$folder"
  (
    cd "$folder"
    flags=(
      --remap-path-prefix="$folder=/appserver"
      --remap-path-prefix="$cargo_home=/cargo"
      --remap-path-prefix="$sysroot=/rust"
    )
    RUSTFLAGS=${flags[*]} \
      CFLAGS="-ffile-prefix-map=$folder=/appserver -ffile-prefix-map=$cargo_home=/cargo" \
      CARGO_TARGET_DIR="$folder/target" PATH="$tools/bin:$PATH" \
      cargo auditable build --quiet --locked --release --bin appserver >&2
  )
  echo "$folder/target/release/appserver"
}

digests=()
for folder in "${builds[@]}"; do
  began=$SECONDS
  binary=$(build "$folder")
  digest=$(sha256sum "$binary" | cut -d' ' -f1)
  echo "built in $((SECONDS - began)) s: $digest"
  digests+=("$digest")
done
if [[ ${#digests[@]} == 2 && ${digests[0]} != "${digests[1]}" ]]; then
  echo "deploy/release.sh: the two builds differ; they are in $made" >&2
  exit 1
fi
for leak in "$made" "$cargo_home"; do
  ! grep -qaF "$leak" "$binary" || {
    echo "deploy/release.sh: the binary contains '$leak'" >&2
    exit 1
  }
done

# The list of dependencies inside of the binary, as `cargo audit bin` reads it.
objcopy --dump-section .dep-v0="$made/dependencies" "$binary" "$made/copy"
listed=$(python3 -c '
import json, sys, zlib
packages = json.loads(zlib.decompress(open(sys.argv[1], "rb").read()))["packages"]
assert any(package["name"] == "rustls" for package in packages), packages
print(len(packages))' "$made/dependencies")

# The bill of materials: of the same sources, without the folder in which they happen to be.
first=$made/${builds[0]}
(cd "$first" && PATH="$tools/bin:$PATH" cargo cyclonedx --quiet --format json --spec-version 1.5 --target "$target")
sed "s#$first#.#g" "$first/appserver.cdx.json" | jq -S 'del(.serialNumber)' >"$dist/appserver-$version.cdx.json"
components=$(jq '.components | length' "$dist/appserver-$version.cdx.json")

packed=$made/packed/$name
mkdir -p "$packed/config" "$packed/systemd"
install -m 0755 "$binary" "$packed/appserver"
cp -r config/default.toml config/production.example.toml config/appserver.schema.json config/policies "$packed/config/"
cp deploy/systemd/appserver.service "$packed/systemd/"
cp docs/CHANGELOG.md "$packed/"
tar -C "$made/packed" --sort=name --owner=0 --group=0 --numeric-owner --mode=u+rw,go+r-w \
  --mtime="@$SOURCE_DATE_EPOCH" --format=ustar -c "$name" | gzip -n -9 >"$dist/$name.tar.gz"

if [[ $image ]]; then
  docker buildx build --no-cache --build-arg SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH" \
    --output "type=oci,dest=$dist/appserver-$version-image.tar,rewrite-timestamp=true" "$first"
fi
(cd "$dist" && sha256sum -- * >SHA256SUMS && sha256sum --quiet --check SHA256SUMS)

glibc=$(objdump -T "$binary" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -1)
echo "AppServer $version of commit $commit, for $target with $glibc or newer:"
equal="two equal builds"
[[ ${#digests[@]} == 2 ]] || equal="one build, compared with none"
echo "  $equal, $(stat -c %s "$binary") bytes; $listed packages in the binary, $components components in the bill of materials"
echo "  in $dist:"
sed 's/^/  /' "$dist/SHA256SUMS"
rm -rf "$made"

# Not tested here: signing needs an identity, and the image an engine and its base images. With cosign
# (https://docs.sigstore.dev):
#
#   cd target/dist
#   cosign sign-blob --yes --bundle SHA256SUMS.sigstore.json SHA256SUMS
#   cosign verify-blob --bundle SHA256SUMS.sigstore.json --certificate-identity WHO --certificate-oidc-issuer ISSUER SHA256SUMS
#   cosign sign --yes REGISTRY/appserver@sha256:DIGEST
#   cosign attest --yes --type cyclonedx --predicate appserver-VERSION.cdx.json REGISTRY/appserver@sha256:DIGEST
