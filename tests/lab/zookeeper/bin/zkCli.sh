#!/usr/bin/env bash
# ZooKeeper's shell. usage: zkCli.sh [-server HOST:PORT[/CHROOT]] [COMMAND]
ZOOBIN=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ZOOBINDIR=$ZOOBIN
. "$ZOOBIN/zkEnv.sh"
exec "$JAVA" "-Dzookeeper.log.dir=$ZOO_LOG_DIR" "-Dzookeeper.root.logger=$ZOO_LOG4J_PROP" \
  -cp "$CLASSPATH" $CLIENT_JVMFLAGS $JVMFLAGS org.apache.zookeeper.ZooKeeperMain "$@"
