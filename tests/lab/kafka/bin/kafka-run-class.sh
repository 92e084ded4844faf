#!/bin/bash
# Runs one Java class with Kafka's class path. usage: kafka-run-class.sh [-daemon] [-name NAME] [-loggc] CLASS [ARGS]
# Reads what Apache's script reads: JAVA_HOME KAFKA_HEAP_OPTS KAFKA_JVM_PERFORMANCE_OPTS KAFKA_OPTS
# KAFKA_LOG4J_OPTS KAFKA_JMX_OPTS JMX_PORT KAFKA_GC_LOG_OPTS LOG_DIR CLASSPATH INCLUDE_TEST_JARS
if [ $# -lt 1 ]; then
  echo "USAGE: $0 [-daemon] [-name servicename] [-loggc] classname [opts]"
  exit 1
fi
base_dir=$(dirname "$0")/..

# Like Apache's: tests, docs and signatures stay out; a -sources.jar does not.
shopt -s nullglob
for file in "$base_dir"/libs/*; do
  if [ "${INCLUDE_TEST_JARS:-false}" != true ]; then
    case $file in
      *-test.jar | *-test-sources.jar | *-src.jar | *-scaladoc.jar | *-javadoc.jar | *.asc) continue ;;
    esac
  fi
  CLASSPATH=${CLASSPATH:+$CLASSPATH:}$file
done
shopt -u nullglob

LOG_DIR=${LOG_DIR:-$base_dir/logs}
[ -d "$LOG_DIR" ] || mkdir -p "$LOG_DIR"
KAFKA_LOG4J_OPTS=${KAFKA_LOG4J_OPTS:--Dlog4j.configuration=file:$base_dir/config/tools-log4j.properties}
KAFKA_JMX_OPTS=${KAFKA_JMX_OPTS:--Dcom.sun.management.jmxremote -Dcom.sun.management.jmxremote.authenticate=false -Dcom.sun.management.jmxremote.ssl=false}
[ -z "$JMX_PORT" ] || KAFKA_JMX_OPTS="$KAFKA_JMX_OPTS -Dcom.sun.management.jmxremote.port=$JMX_PORT"
KAFKA_HEAP_OPTS=${KAFKA_HEAP_OPTS:--Xmx256M}
KAFKA_JVM_PERFORMANCE_OPTS=${KAFKA_JVM_PERFORMANCE_OPTS:--server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true}
if [ -z "$JAVA_HOME" ]; then JAVA=java; else JAVA=$JAVA_HOME/bin/java; fi

daemon=false name= gc=false
while [ $# -gt 0 ]; do
  case $1 in
    -name) name=$2; shift 2 ;;
    -loggc) gc=true; shift ;;
    -daemon) daemon=true; shift ;;
    *) break ;;
  esac
done
if $gc && [ -z "$KAFKA_GC_LOG_OPTS" ]; then
  KAFKA_GC_LOG_OPTS="-Xlog:gc*:file=$LOG_DIR/${name:-kafka}-gc.log:time,tags:filecount=10,filesize=102400"
fi

set -- $KAFKA_HEAP_OPTS $KAFKA_JVM_PERFORMANCE_OPTS $KAFKA_GC_LOG_OPTS $KAFKA_JMX_OPTS \
  "-Dkafka.logs.dir=$LOG_DIR" $KAFKA_LOG4J_OPTS -cp "$CLASSPATH" $KAFKA_OPTS "$@"
if $daemon; then
  nohup "$JAVA" "$@" >"$LOG_DIR/${name:-kafka}.out" 2>&1 </dev/null &
else
  exec "$JAVA" "$@"
fi
