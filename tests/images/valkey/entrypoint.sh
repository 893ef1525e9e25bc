#!/bin/bash
# Hands the settings to the server on its standard input: a password in argv could be read by others.
set -eu
password=${VALKEY_PASSWORD:-}; [ -z "${VALKEY_PASSWORD_FILE:-}" ] || password=$(cat "$VALKEY_PASSWORD_FILE")
exec valkey-server - <<Y
bind * -::*
protected-mode no
dir /data
appendonly yes
${password:+requirepass "$password"}
Y
