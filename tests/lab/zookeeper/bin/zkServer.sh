#!/usr/bin/env bash
# Starts, stops and asks one ZooKeeper server. usage: zkServer.sh {start|start-foreground|stop|restart|status}
ZOOBIN=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ZOOBINDIR=$ZOOBIN
. "$ZOOBIN/zkEnv.sh"
if [ -n "$2" ]; then
  case $2 in /*) ZOOCFG=$2 ;; *) ZOOCFG=$ZOOCFGDIR/$2 ;; esac
fi
echo "ZooKeeper JMX enabled by default" >&2
echo "Using config: $ZOOCFG" >&2
main="-Dcom.sun.management.jmxremote -Dcom.sun.management.jmxremote.local.only=${JMXLOCALONLY:-false} org.apache.zookeeper.server.quorum.QuorumPeerMain"
datadir=$(sed -n 's/^[[:space:]]*dataDir=//p' "$ZOOCFG" | tail -n 1)
pidfile=${ZOOPIDFILE:-$datadir/zookeeper_server.pid}
out=$ZOO_LOG_DIR/zookeeper-$(id -un)-server-$(hostname).out
flags="-Dzookeeper.log.dir=$ZOO_LOG_DIR -Dzookeeper.log.file=zookeeper-$(id -un)-server-$(hostname).log -Dzookeeper.root.logger=$ZOO_LOG4J_PROP"

case $1 in
  start)
    echo -n "Starting zookeeper ... "
    if [ -f "$pidfile" ] && kill -0 "$(cat "$pidfile")" 2>/dev/null; then
      echo "already running as process $(cat "$pidfile")."
      exit 1
    fi
    mkdir -p "$ZOO_LOG_DIR"
    nohup "$JAVA" $flags -XX:+HeapDumpOnOutOfMemoryError -XX:OnOutOfMemoryError='kill -9 %p' \
      -cp "$CLASSPATH" $JVMFLAGS $SERVER_JVMFLAGS $main "$ZOOCFG" >"$out" 2>&1 </dev/null &
    pid=$!
    echo -n $pid >"$pidfile" || { echo "FAILED TO WRITE PID"; exit 1; }
    sleep 1
    if ! kill -0 $pid 2>/dev/null; then
      echo "FAILED TO START"
      exit 1
    fi
    echo STARTED
    ;;
  start-foreground)
    mkdir -p "$ZOO_LOG_DIR"
    exec "$JAVA" $flags -cp "$CLASSPATH" $JVMFLAGS $SERVER_JVMFLAGS $main "$ZOOCFG"
    ;;
  stop)
    echo -n "Stopping zookeeper ... "
    if [ ! -f "$pidfile" ]; then
      echo "no zookeeper to stop (could not find file $pidfile)"
    else
      kill "$(cat "$pidfile")"
      rm -f "$pidfile"
      sleep 1
      echo STOPPED
    fi
    ;;
  restart)
    "$0" stop "$2"
    sleep 3
    exec "$0" start "$2"
    ;;
  status)
    port=$(sed -n 's/^[[:space:]]*clientPort=//p' "$ZOOCFG" | tail -n 1)
    if [ -z "$port" ]; then
      dynamic=$(sed -n 's/^[[:space:]]*dynamicConfigFile=//p' "$ZOOCFG")
      port=$(sed -n "s/^[[:space:]]*server\.$(cat "$datadir/myid" 2>/dev/null)=.*;\(.*:\)\{0,1\}\([0-9]*\)$/\2/p" "${dynamic:-$ZOOCFG}")
    fi
    echo "Client port found: $port. Client address: localhost."
    mode=$("$JAVA" $flags -cp "$CLASSPATH" $CLIENT_JVMFLAGS org.apache.zookeeper.client.FourLetterWordMain localhost "$port" srvr 2>/dev/null | grep Mode)
    if [ -z "$mode" ]; then
      echo "Error contacting service. It is probably not running."
      exit 1
    fi
    echo "$mode"
    ;;
  *)
    echo "Usage: $0 [--config <conf-dir>] {start|start-foreground|stop|restart|status|print-cmd}" >&2
    exit 1
    ;;
esac
