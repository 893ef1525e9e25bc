#!/bin/bash
# Joins a node's cgroup, then becomes the command: else the command would sit in a cgroup outside the node's view.
# usage: enter.sh CGROUP COMMAND [ARGS]
CG=$1; shift
mkdir -p "$CG" && echo $$ > "$CG/cgroup.procs" || exit 125
exec "$@"
