#!/bin/bash
# The start-up script of the test drive's VMs: serves a page on port 80. It runs as root at every boot. It needs only Debian and
# its python3, and downloads nothing.
set -eu

mkdir -p /srv/web
echo "Hello from $(hostname)" >/srv/web/index.html

cat >/etc/systemd/system/web.service <<'UNIT'
[Unit]
Description=A page on port 80
After=network.target

[Service]
ExecStart=/usr/bin/python3 -m http.server --directory /srv/web 80
DynamicUser=yes
AmbientCapabilities=CAP_NET_BIND_SERVICE
Restart=always
RestartSec=2
UNIT
systemctl daemon-reload
systemctl restart web.service
