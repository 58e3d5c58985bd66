# The daemon, with bash and gcloud for its hooks. See misc/GUIDE.md, "On a VM, from a container".
#
# It needs no BuildKit. Both base images can be replaced: --build-arg BASE_IMAGE=… takes any image with bash and Debian's apt-get, and
# GO_IMAGE any with Go. They are pinned by tag alone, and a tag can be moved: misc/pin-images.bash asks their registries and adds the
# digests. The version of tini is not pinned. GOPROXY names another module proxy. VERSION and REVISION are for
# "prevmtable -version", since there is no repository in the image.
ARG GO_IMAGE=docker.io/library/golang:1.26.8-bookworm
ARG BASE_IMAGE=gcr.io/google.com/cloudsdktool/google-cloud-cli:586.0.0-slim

FROM ${GO_IMAGE} AS build
WORKDIR /src
ENV GOMODCACHE=/modules GOCACHE=/cache GOTOOLCHAIN=local CGO_ENABLED=0
ARG GOPROXY
# The modules are a separate layer, so that a change to the code does not download them again.
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY internal internal
COPY misc/guide.go misc/GUIDE.md misc/
COPY misc/healthcheck.bash /out/healthcheck
ARG VERSION
ARG REVISION
RUN go build -trimpath -buildvcs=false -ldflags "-s -w -X 'prevmtable/cmd/internal/cli.stampedVersion=${VERSION}' -X 'prevmtable/cmd/internal/cli.stampedRevision=${REVISION}'" \
        -o /out/ ./cmd/prevmtable ./cmd/faux-metadata && \
    chmod 755 /out/*

FROM ${BASE_IMAGE}
# tini is process 1: it passes signals on to the daemon, and reaps the orphans of hooks. The user is named by its number, so that
# Kubernetes can tell that it is not root.
RUN apt-get update && \
    apt-get install --yes --no-install-recommends tini && \
    rm -rf /var/lib/apt/lists/* && \
    useradd --uid 10001 --user-group --create-home --shell /bin/bash prevmtable
COPY --from=build /out/ /usr/local/bin/
# gcloud writes settings, caches and logs to /tmp, because the root file system may be read-only.
ENV PREVMTABLE_HTTP=:9797 \
    CLOUDSDK_CONFIG=/tmp/gcloud \
    CLOUDSDK_CORE_DISABLE_PROMPTS=true \
    CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK=true
USER 10001:10001
WORKDIR /tmp
EXPOSE 9797
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["/usr/local/bin/healthcheck"]
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/prevmtable"]
CMD []
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="prevmtable" \
      org.opencontainers.image.description="Keeps a pool of preemptible (Spot) VMs alive on Google Compute Engine" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
