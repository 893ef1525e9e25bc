#!/bin/bash
# Runs the commands that come over the machine's line, one a line (ID SECONDS COMMAND), and says how each ended.
as() {
  setpriv --reuid=1000 --regid=1000 --init-groups env -i PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin HOME=/home/archipelago \
    USER=archipelago LANG=C.UTF-8 XDG_RUNTIME_DIR=/run/user/1000 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus "$@"
}
export -f as
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
cd /opt/job || exit 1
exec 3<> /dev/virtio-ports/archy
while IFS=' ' read -r -u 3 id seconds command; do
  said=$(timeout -k 5 "$seconds" bash -c "$command" 2>&1 < /dev/null)
  code=$?
  printf '%s\n%s END %s\n' "$said" "$id" "$code" >&3
done
