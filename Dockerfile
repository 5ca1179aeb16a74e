# An image with the program and nothing else: no shell, no libraries.
#
#   docker build --build-arg VERSION=v0.1.0 -t usher .
#   docker run -v /etc/usher:/etc/usher:ro -v usher:/data -p 8080:8080 usher
#
# The image keeps what must last in /data. For another engine, of the
# configuration's, take that away: docker run -e USHER_ENGINE_DATA= ...
#
# In a container "localhost" is the container: the configuration needs
# "listen: :8080", and an admin listener that others may reach with the names
# they call it by (admin, admin_hosts). See docs/guide/gateway.md.

FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=devel
RUN mkdir /data
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /usher ./cmd/usher

FROM scratch
# For key sets, "ask" and upstreams over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /usher /usher
# What the gateway keeps over a restart: spent tickets, revocations, keys. A new
# volume takes over whose the directory is.
COPY --from=build --chown=65532:65532 --chmod=0700 /data /data
VOLUME /data
ENV USHER_ENGINE_DATA=/data
# By number: there is no file that would know a name.
USER 65532:65532
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
# There is nothing in here that could ask: let the orchestrator ask /healthz and
# /readyz of the admin listener.
HEALTHCHECK NONE
ENTRYPOINT ["/usher"]
CMD ["serve", "--config", "/etc/usher/usher.yaml"]
