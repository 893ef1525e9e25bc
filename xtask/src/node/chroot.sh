#!/bin/bash
# Runs a command in a root file system, in a mount namespace of its own, with binds given as SOURCE:TARGET.
# usage: unshare -m bash chroot.sh ROOT BIND... -- COMMAND [ARGS]
set -e
R=$1; shift
mount --bind "$R" "$R"
mount -t proc proc "$R/proc"
mount --rbind /sys "$R/sys"
mount -t tmpfs -o mode=755,nosuid tmpfs "$R/dev"
for d in null zero full random urandom tty fuse; do touch "$R/dev/$d"; mount --bind "/dev/$d" "$R/dev/$d"; done
mkdir -p "$R/dev/pts" "$R/dev/shm"
ln -s /proc/self/fd "$R/dev/fd"; ln -s /proc/self/fd/0 "$R/dev/stdin"
ln -s /proc/self/fd/1 "$R/dev/stdout"; ln -s /proc/self/fd/2 "$R/dev/stderr"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$R/dev/shm"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$R/run"
while [ "$1" != -- ]; do
  target=$R${1#*:}
  if [ -d "${1%%:*}" ]; then mkdir -p "$target"; else [ -e "$target" ] || : > "$target"; fi
  mount --bind "${1%%:*}" "$target"; shift
done
shift
exec chroot "$R" "$@"
