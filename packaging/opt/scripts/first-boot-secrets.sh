#!/bin/sh
# Makes the secrets that manifests of earlier platforms name without declaring how they are made.
# Run as the service user; one that is there is left alone.
set -eu
umask 077
secrets=${ARCHIPELAGO_SECRETS_DIR:-/var/lib/archipelago/secrets}
mkdir -p "$secrets"
for name in mempool-db-password btcpay-db-password mysql-root-db-password; do
    [ -s "$secrets/$name" ] && continue
    temp=$(mktemp "$secrets/.$name.XXXXXX")
    od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$temp"
    sync "$temp"
    mv -f "$temp" "$secrets/$name"
done
sync "$secrets"
