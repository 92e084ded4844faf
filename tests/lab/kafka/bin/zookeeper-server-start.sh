#!/bin/bash
# Starts the ZooKeeper that comes with Kafka. usage: zookeeper-server-start.sh [-daemon] zookeeper.properties
base_dir=$(dirname "$0")
export KAFKA_LOG4J_OPTS=${KAFKA_LOG4J_OPTS:--Dlog4j.configuration=file:$base_dir/../config/log4j.properties}
export KAFKA_HEAP_OPTS=${KAFKA_HEAP_OPTS:--Xmx512M -Xms512M}
daemon=
if [ "$1" = -daemon ]; then
  daemon=-daemon
  shift
fi
exec "$base_dir/kafka-run-class.sh" $daemon -name zookeeper -loggc org.apache.zookeeper.server.quorum.QuorumPeerMain "$@"
