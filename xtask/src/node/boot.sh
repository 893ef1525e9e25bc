#!/bin/bash
# PID 1 of a fresh mount, pid, uts, ipc and cgroup namespace: lays out a node's file system, becomes systemd.
# usage: boot.sh NODE_DIR HOSTNAME
set -e
D=$1; NAME=$2; R=$D/root
# /proc is still the host's: its view of this process is the host's pid of the node's init
read -r -a stat < /proc/self/stat
echo "${stat[0]} ${stat[21]}" > "$D/init.pid.tmp"; mv "$D/init.pid.tmp" "$D/init.pid"
mount --make-rprivate /
mount --bind "$R" "$R"
mount -t proc proc "$R/proc"
mount -t sysfs sysfs "$R/sys"
mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"
mount -t tmpfs -o mode=755,nosuid tmpfs "$R/dev"
for d in null zero full random urandom tty fuse; do touch "$R/dev/$d"; mount --bind "/dev/$d" "$R/dev/$d"; done
mkdir -p "$R/dev/net" "$R/dev/pts" "$R/dev/shm"
mknod -m 666 "$R/dev/net/tun" c 10 200
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$R/dev/pts"
ln -s pts/ptmx "$R/dev/ptmx"; ln -s /proc/self/fd "$R/dev/fd"
ln -s /proc/self/fd/0 "$R/dev/stdin"; ln -s /proc/self/fd/1 "$R/dev/stdout"; ln -s /proc/self/fd/2 "$R/dev/stderr"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$R/dev/shm"
: > "$R/dev/console"
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$R/run"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$R/tmp"
# a new boot id for every boot, as a machine has: whoever compares boot ids must see the reboot
cat /proc/sys/kernel/random/uuid > "$R/run/.boot_id"
mount --bind "$R/run/.boot_id" "$R/proc/sys/kernel/random/boot_id"
# a partly covered /proc forbids fresh proc mounts in user namespaces, which every rootless container makes,
# unless the namespace also holds one that nothing covers
mkdir -p "$R/run/.proc"; mount -t proc proc "$R/run/.proc"
hostname "$NAME"
cd "$R"; mkdir -p .oldroot; pivot_root . .oldroot; umount -l /.oldroot; rmdir /.oldroot 2>/dev/null || :
# systemd skips this when container= is set, and rootless podman warns without it
mount --make-rshared /
exec env -i container=archy-node PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --log-target=console --log-level=info --show-status=1
