#!/bin/bash
# Writes the relay's settings and becomes the relay.
set -eu
cat > /tmp/relay.toml <<Y
[info]
relay_url = "${RELAY_URL:-ws://127.0.0.1:8080/}"
name = "${RELAY_NAME:-nostr-rs-relay}"
[database]
data_directory = "/data"
[network]
address = "0.0.0.0"
port = 8080
[limits]
messages_per_sec = 100
Y
exec nostr-rs-relay --config /tmp/relay.toml
