# shellcheck shell=bash
# Client of the node's JSON-RPC, to be sourced by scripts:
#
#   . /opt/archipelago/rpc.bash
#   rpc_login                                   # asks $ARCHY_PASSWORD, else the terminal
#   rpc_result package.install '{"id":"app","dockerImage":"registry.example/app:1"}'
#
# Variables: ARCHY_BASE_URL (https://127.0.0.1), ARCHY_PASSWORD, ARCHY_FORCE_LOGIN,
# RPC_SESSION_FILE (0600: line 1 session, line 2 csrf), RPC_SESSION, RPC_CSRF.
# No secret is ever an argument of a program: bodies and headers go through standard input.

ARCHY_BASE_URL=${ARCHY_BASE_URL:-https://127.0.0.1}
RPC_SESSION_FILE=${RPC_SESSION_FILE:-${XDG_RUNTIME_DIR:-${HOME:-/tmp}}/archipelago-rpc.session}
RPC_SESSION=${RPC_SESSION:-}
RPC_CSRF=${RPC_CSRF:-}

_rpc_say() { printf 'rpc: %s\n' "$*" >&2; }

# Escapes standard input as a JSON string.
_rpc_json_string() { jq -Rs .; }

# _rpc_post BODY-ON-STDIN: posts it, answers on stdout, headers to the file $1.
# The session goes to curl through a config on a file descriptor, never in its arguments.
_rpc_post() {
    local headers=$1
    curl --silent --show-error --insecure --max-time 60 --dump-header "$headers" \
        --header 'Content-Type: application/json' --data-binary @- \
        --config <(
            if [ -n "$RPC_SESSION" ]; then
                printf 'header = "Cookie: session=%s; csrf_token=%s"\n' "$RPC_SESSION" "$RPC_CSRF"
                printf 'header = "X-CSRF-Token: %s"\n' "$RPC_CSRF"
            fi
        ) "$ARCHY_BASE_URL/rpc/v1"
}

_rpc_cookie() { # file name
    sed -n "s/^[Ss]et-[Cc]ookie: *$2=\([^;[:space:]]*\).*/\1/p" "$1" | tail -n 1
}

_rpc_load() {
    [ -r "$RPC_SESSION_FILE" ] || return 1
    { IFS= read -r RPC_SESSION && IFS= read -r RPC_CSRF; } <"$RPC_SESSION_FILE" || return 1
    [ -n "$RPC_SESSION" ]
}

_rpc_save() {
    local temp
    temp=$(umask 077 && mktemp "$RPC_SESSION_FILE.XXXXXX") || return 1
    printf '%s\n%s\n' "$RPC_SESSION" "$RPC_CSRF" >"$temp" && mv -f "$temp" "$RPC_SESSION_FILE"
}

# Logs in, or takes up the kept session unless ARCHY_FORCE_LOGIN is set.
rpc_login() {
    if [ -z "${ARCHY_FORCE_LOGIN:-}" ] && _rpc_load && rpc_call system.get-hostname >/dev/null 2>&1; then
        return 0
    fi
    if [ -z "${ARCHY_PASSWORD:-}" ]; then
        [ -t 0 ] || { _rpc_say 'set ARCHY_PASSWORD, or run in a terminal'; return 1; }
        IFS= read -rsp 'Password of the node: ' ARCHY_PASSWORD && printf '\n' >&2
    fi
    local headers answer
    headers=$(mktemp) || return 1
    RPC_SESSION='' RPC_CSRF=''
    answer=$({
        printf '{"jsonrpc":"2.0","id":1,"method":"auth.login","params":{"password":'
        printf '%s' "$ARCHY_PASSWORD" | _rpc_json_string
        printf '}}'
    } | _rpc_post "$headers") || { rm -f "$headers"; _rpc_say "no answer from $ARCHY_BASE_URL"; return 1; }
    RPC_SESSION=$(_rpc_cookie "$headers" session)
    RPC_CSRF=$(_rpc_cookie "$headers" csrf_token)
    rm -f "$headers"
    if [ -z "$RPC_SESSION" ]; then
        _rpc_say "login refused: $(jq -r '.error.message // "no session was given"' <<<"$answer" 2>/dev/null)"
        return 1
    fi
    _rpc_save
}

# rpc_call METHOD [PARAMS-JSON]: prints the whole reply; fails on an error.
rpc_call() {
    local headers answer body status=0
    # parameters may hold secrets: they reach jq by standard input
    body=$(printf '%s' "${2:-{\}}" | jq -c --arg method "$1" \
        '{jsonrpc:"2.0",id:1,method:$method,params:.}') && [ -n "$body" ] || {
        _rpc_say "the parameters of $1 are not JSON"
        return 1
    }
    headers=$(mktemp) || return 1
    answer=$(printf '%s' "$body" | _rpc_post "$headers") || status=$?
    rm -f "$headers"
    [ "$status" = 0 ] || { _rpc_say "no answer from $ARCHY_BASE_URL"; return 1; }
    printf '%s\n' "$answer"
    jq -e '.error == null' <<<"$answer" >/dev/null 2>&1
}

# rpc_result METHOD [PARAMS-JSON]: prints the result alone; says the error's message otherwise.
rpc_result() {
    local answer
    if answer=$(rpc_call "$@"); then
        jq '.result' <<<"$answer"
    else
        [ -z "$answer" ] || _rpc_say "$(jq -r '.error.message // "failed"' <<<"$answer" 2>/dev/null)"
        return 1
    fi
}

# Forgets the kept session on this side.
rpc_logout_local() {
    RPC_SESSION='' RPC_CSRF=''
    rm -f "$RPC_SESSION_FILE"
}
