# The image of the server. Built with BuildKit or Buildah:
#
#   docker build -t anomalyd:0.1.0 .
#   docker run --read-only -p 50051:50051 -v anomalyd-data:/data anomalyd:0.1.0

ARG RUST_VERSION=1.95.0
ARG DEBIAN_VERSION=12.12

FROM rust:${RUST_VERSION}-slim-bookworm AS build
WORKDIR /src
# .dockerignore lets through only what cargo reads
COPY . .
# Both caches outlive the layer, so that a changed source file does not build the dependencies again. Cargo tells what
# changed by file times, which a kept target/ and another checkout can contradict: touching the sources settles it.
RUN --mount=type=cache,id=anomalyd-registry,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=anomalyd-target,target=/src/target,sharing=locked \
    find . -path ./target -prune -o -type f -exec touch {} + \
    && cargo build --release --locked --package anomalyd --bin anomalyd \
    && install -D -m 0755 target/release/anomalyd /out/anomalyd

FROM debian:${DEBIAN_VERSION}-slim
LABEL org.opencontainers.image.title="anomalyd" \
      org.opencontainers.image.description="An anomaly-detection service over gRPC" \
      org.opencontainers.image.licenses="MIT"

# OpenShift runs containers under any uid with gid 0, so it is the group that owns the data
RUN install -d -o 10001 -g 0 -m 0770 /data
COPY --from=build /out/anomalyd /usr/local/bin/anomalyd

ENV ANOMALYD_LISTEN=0.0.0.0:50051 \
    ANOMALYD_DATA_DIR=/data \
    ANOMALYD_LOG_FORMAT=json

# the only folder that is written to: the root file system may be read-only
VOLUME ["/data"]
WORKDIR /data
EXPOSE 50051
USER 10001:0

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["anomalyd", "healthcheck"]

ENTRYPOINT ["anomalyd"]
CMD ["serve"]
