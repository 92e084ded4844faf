#!/usr/bin/env bash
# Sourced by the other scripts: where things are, the class path, the JVM. Reads conf/zookeeper-env.sh and conf/java.env.
ZOOBINDIR=${ZOOBINDIR:-/usr/bin}
ZOOKEEPER_PREFIX=$(cd "$ZOOBINDIR/.." && pwd)
ZOOCFGDIR=${ZOOCFGDIR:-$ZOOKEEPER_PREFIX/conf}
[ -f "$ZOOCFGDIR/zookeeper-env.sh" ] && . "$ZOOCFGDIR/zookeeper-env.sh"
ZOOCFG=${ZOOCFG:-zoo.cfg}
case $ZOOCFG in /*) ;; *) ZOOCFG=$ZOOCFGDIR/$ZOOCFG ;; esac
[ -f "$ZOOCFGDIR/java.env" ] && . "$ZOOCFGDIR/java.env"
ZOO_LOG_DIR=${ZOO_LOG_DIR:-$ZOOKEEPER_PREFIX/logs}
ZOO_LOG4J_PROP=${ZOO_LOG4J_PROP:-INFO,CONSOLE}
if [ -n "$JAVA_HOME" ]; then JAVA=$JAVA_HOME/bin/java; else JAVA=java; fi
for jar in "$ZOOKEEPER_PREFIX"/lib/*.jar; do
  CLASSPATH=$jar:$CLASSPATH
done
CLASSPATH=$ZOOCFGDIR:$CLASSPATH
SERVER_JVMFLAGS="-Xmx${ZK_SERVER_HEAP:-1000}m $SERVER_JVMFLAGS"
CLIENT_JVMFLAGS="-Xmx${ZK_CLIENT_HEAP:-256}m $CLIENT_JVMFLAGS"
