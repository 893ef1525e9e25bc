#!/bin/bash
# Keeps one node running: a fresh network for every boot, again after a reboot, clean up after its end.
# usage: supervise.sh NODE_DIR HOSTNAME OCTET CGROUP SCRIPT_DIR
set -u
D=$1; NAME=$2; N=$3; CG=$4; SCRIPTS=$5
NET=10.77.0; FABRIC=archy-fabric; NS=archy-n$N; LEG=archy-v$N
read -r -a stat < /proc/self/stat
echo "${stat[0]} ${stat[21]}" > "$D/supervisor.pid.tmp"; mv "$D/supervisor.pid.tmp" "$D/supervisor.pid"
unplug() {
  ip -n "$FABRIC" link del "$LEG" 2>/dev/null
  ip netns del "$NS" 2>/dev/null
}
# a fresh network namespace for each boot, but the same MAC: with a new one the neighbours keep the old for many seconds
plug() {
  unplug
  ip netns add "$NS" &&
    ip -n "$NS" link set lo up &&
    ip -n "$NS" link add eth0 address "$(printf 02:00:0a:4d:00:%02x "$N")" type veth peer name "$LEG" netns "$FABRIC" &&
    ip -n "$FABRIC" link set "$LEG" master archy-br0 up &&
    ip -n "$NS" addr add "$NET.$N/24" dev eth0 &&
    ip -n "$NS" link set eth0 up &&
    ip -n "$NS" route add default via "$NET.1"
}
while :; do
  rm -f "$D/init.pid"
  plug || { echo "supervise: cannot make the network of $NAME"; break; }
  (
    # the node's own cgroup, joined before the cgroup namespace is made: else all nodes share user.slice and system.slice
    echo "$BASHPID" > "$CG/cgroup.procs" || exit 71
    exec nsenter --net="/run/netns/$NS" unshare -m -p -u -i -C --fork bash "$SCRIPTS/boot.sh" "$D" "$NAME"
  )
  rc=$?
  rm -f "$D/init.pid"
  echo "supervise: init of $NAME ended with $rc"
  # the kernel turns reboot(2) in a pid namespace into a signal on its init: HUP for reboot, INT for halt and poweroff
  [ "$rc" = 129 ] || break
done
unplug
for _ in {1..100}; do
  find "$CG" -depth -type d -exec rmdir {} + 2>/dev/null
  [ -d "$CG" ] || break
  sleep 0.02
done
rm -f "$D/supervisor.pid"
