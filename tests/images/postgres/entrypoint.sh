#!/bin/bash
# Makes the database cluster at the first start, then becomes the server.
set -eu
setting() { local file=$1_FILE; if [ -n "${!file:-}" ]; then cat "${!file}"; else printf %s "${!1:-}"; fi; }
user=${POSTGRES_USER:-postgres}
if [ "$1" = postgres ]; then
  if [ ! -s "$PGDATA/PG_VERSION" ]; then
    # made beside and moved in, the version file last: a power cut in between leaves no half cluster
    new=$PGDATA/.new; rm -rf "$new"; mkdir -m 700 "$new"
    password=$(setting POSTGRES_PASSWORD); auth=scram-sha-256; [ -n "$password" ] || auth=trust
    initdb -D "$new" -U "$user" --auth-local=trust --auth-host="$auth" --pwfile=<(printf '%s\n' "${password:-unused}") \
      -E UTF8 --locale=C.UTF-8 > /dev/null
    echo "host all all all $auth" >> "$new/pg_hba.conf"
    db=${POSTGRES_DB:-$user}
    [ "$db" = postgres ] || printf 'CREATE DATABASE "%s";\n' "$db" | postgres --single -D "$new" postgres > /dev/null
    version=$(cat "$new/PG_VERSION"); rm "$new/PG_VERSION"
    cp -a "$new/." "$PGDATA/"; rm -rf "$new"; sync; echo "$version" > "$PGDATA/PG_VERSION"
    chmod 700 "$PGDATA" 2>/dev/null || :
    echo "entrypoint: cluster made"
  fi
  set -- "$@" -c 'listen_addresses=*' -c unix_socket_directories=/tmp
fi
exec "$@"
