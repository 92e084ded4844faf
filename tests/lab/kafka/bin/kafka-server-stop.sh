#!/bin/bash
# Asks every broker on this host to stop: TERM (or $SIGNAL) to each java that runs kafka.Kafka. Does not wait.
SIGNAL=${SIGNAL:-TERM}
PIDS=$(ps axww -o pid=,args= | awk '$2 ~ /java$/ && / kafka\.Kafka( |$)/ { print $1 }')
if [ -z "$PIDS" ]; then
  echo "No kafka server to stop"
  exit 1
fi
kill -s "$SIGNAL" $PIDS
