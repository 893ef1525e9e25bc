#!/bin/bash
# Debian's docker-registry out of the base root file system, its storage in the cache. Runs in the fabric's network namespace.
# usage: registry.sh BASE STORAGE PID_FILE
set -e
BASE=$1; STORAGE=$2; PID=$3
read -r -a stat < /proc/self/stat
echo "${stat[0]} ${stat[21]}" > "$PID.tmp"; mv "$PID.tmp" "$PID"
mount --bind "$STORAGE" "$BASE/srv"
exec chroot "$BASE" /usr/bin/docker-registry serve /srv/registry.yml
