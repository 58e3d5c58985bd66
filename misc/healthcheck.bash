#!/usr/bin/env bash
# Health check of the image: requests the daemon's /healthz. It uses bash's own TCP, because the base image may lack curl. If the
# status page is off, the check succeeds.
set -euo pipefail

port=${PREVMTABLE_HTTP##*:}
[[ -n $port ]] || exit 0
host=${PREVMTABLE_HTTP%:*}
host=${host#[} host=${host%]}
case $host in '' | 0.0.0.0 | :: | localhost) host=127.0.0.1 ;; esac
exec {connection}<>"/dev/tcp/$host/$port"
printf 'GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&"$connection"
answer=
read -r -t 5 answer <&"$connection" || true
printf '%s\n' "${answer%$'\r'}"
[[ $answer == HTTP/1.?' 200 '* ]]
