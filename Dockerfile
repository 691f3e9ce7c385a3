# The service alone, without the emulator, in an image without a shell that runs as a user without rights.
#
#   docker build -t appserver .
#   docker run --read-only --cap-drop ALL --stop-timeout 30 -p 127.0.0.1:8080:8080 \
#     -v "$PWD/appserver:/etc/appserver:ro" \
#     -e ALIBABA_CLOUD_ACCESS_KEY_ID -e ALIBABA_CLOUD_ACCESS_KEY_SECRET appserver
#
# The mounted folder holds `appserver.toml` and the policies that it names: config/production.example.toml and
# config/policies are a start, and work with this command as they are. The image has them in /etc/appserver too. The
# service listens on 0.0.0.0:8080, because the container's own loopback cannot be published.

# The toolchain of `rust-version` in Cargo.toml.
ARG RUST_IMAGE=rust:1.95.0-bookworm
# glibc, libgcc, CA certificates and a user without rights; no shell, no package manager. Distroless ended its Debian 12
# images in September 2026. What is built against Debian 12's older glibc runs on Debian 13's.
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian13:nonroot

FROM ${RUST_IMAGE} AS build
WORKDIR /build
# The dependencies alone, in a layer that only the manifests change. cargo wants a source for each member of the
# workspace, and compiles the emulator's no more than its dependencies.
COPY Cargo.toml Cargo.lock ./
COPY crates/domain/Cargo.toml crates/domain/
COPY crates/policy/Cargo.toml crates/policy/
COPY crates/emulator/Cargo.toml crates/emulator/
RUN mkdir src crates/domain/src crates/policy/src crates/emulator/src \
 && echo '//! Stands in for the sources.' \
  | tee src/lib.rs crates/domain/src/lib.rs crates/policy/src/lib.rs crates/emulator/src/lib.rs > src/main.rs \
 && echo 'fn main() {}' >> src/main.rs \
 && cargo build --locked --release --no-default-features \
 && rm -r src crates/domain/src crates/policy/src
COPY src src
COPY crates/domain/src crates/domain/src
COPY crates/policy/src crates/policy/src
# Built in. The other configuration does not concern the compiler.
COPY config/default.toml config/
# cargo goes by modification times, and the stand-ins above may be newer than the sources.
RUN touch src/main.rs src/lib.rs crates/domain/src/lib.rs crates/policy/src/lib.rs \
 && cargo build --locked --release --no-default-features

FROM ${RUNTIME_IMAGE}
# Readable by the image's user, whatever umask the sources were checked out with.
COPY --chmod=0644 config/appserver.schema.json config/default.toml config/production.example.toml /etc/appserver/
COPY --chmod=0644 config/policies/*.json /etc/appserver/policies/
# Last, because it changes most often.
COPY --from=build /build/target/release/appserver /usr/local/bin/
USER 65532:65532
EXPOSE 8080 9090
# Drains, which takes `lame_duck_ms` and up to `drain_timeout_ms`. Docker kills after 10 seconds unless `--stop-timeout`
# tells it to wait longer.
STOPSIGNAL SIGTERM
# Asks 127.0.0.1:9090, or where APPSERVER__ADMIN__LISTEN says. It reads no file: `serve` may be given any, and an
# unfinished edit of one does not make a server look sick that serves. Where a file moves the admin listener, override
# this with a check that has the same `--config`. Podman and Buildah keep it with `--format docker` only.
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s --retries=3 \
  CMD ["/usr/local/bin/appserver", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/appserver"]
CMD ["serve", "--config", "/etc/appserver/appserver.toml"]
