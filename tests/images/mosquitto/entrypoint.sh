#!/bin/bash
# Writes the configuration, with a password file when there is a password, then becomes the broker.
set -eu
umask 077
password=${MOSQUITTO_PASSWORD:-}; [ -z "${MOSQUITTO_PASSWORD_FILE:-}" ] || password=$(cat "$MOSQUITTO_PASSWORD_FILE")
{
  echo 'listener 1883'
  echo 'persistence true'
  echo 'persistence_location /mosquitto/data/'
  echo 'log_dest stdout'
  if [ -n "$password" ]; then
    printf '%s:%s\n' "${MOSQUITTO_USER:-mqtt}" "$password" > /tmp/passwd
    mosquitto_passwd -U /tmp/passwd
    echo 'password_file /tmp/passwd'
  else
    echo 'allow_anonymous true'
  fi
} > /tmp/mosquitto.conf
exec mosquitto -c /tmp/mosquitto.conf
