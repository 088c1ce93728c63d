#!/bin/sh
# Let systemd see the units that came or went. Services are not started.
[ -z "${DPKG_ROOT:-}" ] && [ -d /run/systemd/system ] && systemctl daemon-reload || :
