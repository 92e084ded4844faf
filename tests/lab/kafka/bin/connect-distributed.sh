#!/bin/bash
# Starts a Connect worker. usage: connect-distributed.sh [-daemon] connect-distributed.properties
base_dir=$(dirname "$0")
export KAFKA_LOG4J_OPTS=${KAFKA_LOG4J_OPTS:--Dlog4j.configuration=file:$base_dir/../config/connect-log4j.properties}
export KAFKA_HEAP_OPTS=${KAFKA_HEAP_OPTS:--Xms256M -Xmx2G}
daemon=
if [ "$1" = -daemon ]; then
  daemon=-daemon
  shift
fi
exec "$base_dir/kafka-run-class.sh" $daemon -name connectDistributed org.apache.kafka.connect.cli.ConnectDistributed "$@"
