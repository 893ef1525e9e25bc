#!/bin/bash
# Fills an empty content directory, starts PHP beside and becomes the web server.
set -eu
content=/var/www/html/wp-content
[ -e "$content/themes" ] || cp -a /usr/share/wp-content/. "$content/"
fpm=$(echo /usr/sbin/php-fpm8*)
"$fpm" --fpm-config /etc/php/pool.conf --daemonize
exec nginx -e stderr -g 'daemon off;'
