#!/bin/bash
# Makes the system tables at the first start; users and database are brought up to date at every start.
set -eu
setting() { local file=$1_FILE; if [ -n "${!file:-}" ]; then cat "${!file}"; else printf %s "${!1:-}"; fi; }
quote() { local text=${1//\\/\\\\}; printf "'%s'" "${text//\'/\\\'}"; }
data=/var/lib/mysql
if [ ! -e "$data/.made" ]; then
  mariadb-install-db --auth-root-authentication-method=normal --skip-test-db --datadir="$data" > /dev/null
  : > "$data/.made"; sync
  echo "entrypoint: system tables made"
fi
umask 077
sql=/tmp/init.sql
{
  root=$(setting MARIADB_ROOT_PASSWORD); db=$(setting MARIADB_DATABASE)
  user=$(setting MARIADB_USER); password=$(setting MARIADB_PASSWORD)
  [ -z "$root" ] || echo "ALTER USER root@localhost IDENTIFIED BY $(quote "$root");"
  [ -z "$db" ] || echo "CREATE DATABASE IF NOT EXISTS \`$db\`;"
  if [ -n "$user" ]; then
    echo "CREATE USER IF NOT EXISTS $(quote "$user")@'%' IDENTIFIED BY $(quote "$password");"
    echo "ALTER USER $(quote "$user")@'%' IDENTIFIED BY $(quote "$password");"
    [ -z "$db" ] || echo "GRANT ALL ON \`$db\`.* TO $(quote "$user")@'%';"
  fi
  echo "SELECT 1;"
} > "$sql"
exec mariadbd --init-file="$sql" "$@"
