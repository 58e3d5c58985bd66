#!/usr/bin/env bash
# Asks the daemon in this container whether its loop turns. Only bash is sure to be in the image, so bash speaks HTTP.
# Without a status page there is nothing to ask, and that is no fault of the daemon's.
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
