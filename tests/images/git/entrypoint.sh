#!/bin/bash
# Makes the named repositories, then becomes the web server.
set -eu
export HOME=/git
for name in ${GIT_REPOSITORIES:-demo}; do
  repo=/git/$name.git
  [ -e "$repo/.made" ] || { git init -q --bare -b main "$repo"; git -C "$repo" config http.receivepack true; : > "$repo/.made"; }
done
exec lighttpd -D -f /etc/lighttpd/lighttpd.conf
