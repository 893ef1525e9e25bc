#!/bin/bash
# What only a real kernel shows: limits that are delegated and bite, LUKS, WireGuard. The probe lies beside.
# Ends with 0 when all of it holds.
set -u
failed=0
check() { # check WHAT GOT WANT (a glob)
  # shellcheck disable=SC2053
  if [[ $2 == $3 ]]; then echo "ok    $1: $2"; else echo "FAIL  $1: got '$2', want '$3'"; failed=1; fi
}
as() {
  setpriv --reuid=1000 --regid=1000 --init-groups env -i PATH=/usr/bin:/bin:/usr/sbin HOME=/home/archipelago USER=archipelago \
    XDG_RUNTIME_DIR=/run/user/1000 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus "$@"
}
get() { curl -s -m 20 "http://127.0.0.1:8080$1"; }
echo "kernel $(uname -r), up $(cut -d' ' -f1 /proc/uptime) s"
check 'delegated controllers' "$(as podman info --format '{{join .Host.CgroupControllers " "}}')" '*cpu*memory*pids*'

install -d -o 1000 -g 1000 /home/archipelago/b /home/archipelago/.config /home/archipelago/.config/containers /home/archipelago/.config/containers/systemd
install -m 755 probe /home/archipelago/b/probe
printf 'FROM scratch\nCOPY probe /probe\nENTRYPOINT ["/probe"]\n' > /home/archipelago/b/Containerfile
as podman build -q -t localhost/probe /home/archipelago/b > /dev/null
cat > /home/archipelago/.config/containers/systemd/q.container <<'Y'
[Container]
Image=localhost/probe
ContainerName=q
PublishPort=8080:8080
PidsLimit=30
PodmanArgs=--memory 64m --cpus 0.5
HealthCmd=["/probe","check"]
HealthInterval=5s
Notify=healthy
[Service]
TimeoutStartSec=600
Restart=always
RestartSec=1
Y
as systemctl --user daemon-reload
as systemctl --user start q || { journalctl -n 40 --no-pager; echo 'FAIL  unit with limits starts'; exit 1; }
cgroup=/sys/fs/cgroup$(cut -d: -f3 "/proc/$(as podman inspect q --format '{{.State.Pid}}')/cgroup")
check 'memory.max' "$(cat "$cgroup/memory.max")" 67108864
check 'pids.max' "$(cat "$cgroup/pids.max")" 30
check 'cpu.max' "$(cat "$cgroup/cpu.max")" '50000 100000'
threads=$(get '/threads?n=100'); check 'threads are refused' "${threads#threads=}" '[12][0-9]'
before=$(as podman inspect q --format '{{.State.Pid}}')
check 'too much memory kills' "$(get '/memory?mib=200')" ''
for _ in {1..60}; do
  after=$(as podman inspect q --format '{{.State.Pid}}' 2> /dev/null)
  [ -n "$after" ] && [ "$after" != 0 ] && [ "$after" != "$before" ] && get /health > /dev/null && break
  sleep 1
done
check 'and systemd starts it again' "$(get /health)" ok
check 'the kernel said so' "$(dmesg | grep -c 'Memory cgroup out of memory')" '[1-9]*'
# the daemon reads this: the unit's cgroup is delegated, so the unit's own result does not tell
check 'the unit delegates its cgroup' "$(as systemctl --user show -P Delegate q)" yes
check 'its result does not tell' "$(as systemctl --user show -P Result q)" success
oom=(-q --no-pager -o json --output-fields=USER_UNIT MESSAGE_ID=fe6faa94e7774663a0da52717891d8ef _UID=1000 USER_UNIT=q.service)
check 'systemd says in the journal that the memory ran out' "$(journalctl "${oom[@]}")" '*"USER_UNIT":"q.service"*'
check 'and the service user can read it' "$(as journalctl "${oom[@]}" | grep -c '"__REALTIME_TIMESTAMP":"[0-9]*"')" '[1-9]*'

modprobe dm-crypt && modprobe wireguard; check 'modules' "$?" 0
ip link add wg0 type wireguard; check 'WireGuard link' "$?" 0
truncate -s 64M /root/luks.img
printf secret | cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /root/luks.img -
printf secret | cryptsetup open /root/luks.img data --key-file - && mkfs.ext4 -q /dev/mapper/data && mount /dev/mapper/data /mnt
check 'LUKS volume mounted' "$?" 0
check 'failed units' "$(systemctl --failed --no-legend --plain | tr '\n' ' ')" ''
exit "$failed"
