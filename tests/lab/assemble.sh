#!/bin/bash
# Turns jars from Maven Central and the launch scripts beside this file into the tarballs that
# archive.apache.org has: kafka_2.12-2.1.0.tgz, kafka_2.12-2.6.0.tgz, apache-zookeeper-3.5.9-bin.tar.gz.
# usage: assemble.sh CACHE    leaves CACHE/archive.apache.org/dist/…; says where; the second run is instant.
set -euo pipefail
cache=${1:?usage: assemble.sh CACHE}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
site=$cache/archive.apache.org

# What the tarballs are made of, by content: another recipe makes other tarballs.
recipe=$(cd "$here" && find assemble.sh kafka zookeeper -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16)
exec 9>"$cache/assemble.lock"
flock 9
if [ "$(cat "$site/.recipe" 2>/dev/null)" = "$recipe" ]; then
    echo "$site"
    exit 0
fi
command -v mvn >/dev/null || { echo "assemble.sh: \`mvn\` is not on this machine; it comes with the package \`maven\`" >&2; exit 1; }
work=$(mktemp -d "$cache/assemble.XXXXXX")
trap 'rm -rf "$work"' EXIT
quiet() { "$@" >"$work/log" 2>&1 || { tail -n 30 "$work/log" >&2; exit 1; }; }

# jars DIR GROUP:ARTIFACT:VERSION[:TYPE[:CLASSIFIER]]...: these and all they need at run time, into DIR
jars() {
    local dir=$1 pom=$work/pom it group artifact version type classifier; shift
    mkdir -p "$pom" "$dir"
    {
        echo '<project><modelVersion>4.0.0</modelVersion><groupId>lab</groupId><artifactId>lab</artifactId>'
        echo '<version>1</version><packaging>pom</packaging><dependencies>'
        for it in "$@"; do
            IFS=: read -r group artifact version type classifier <<<"$it"
            echo "<dependency><groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version>"
            echo "<type>${type:-jar}</type><classifier>${classifier:-}</classifier></dependency>"
        done
        echo '</dependencies></project>'
    } >"$pom/pom.xml"
    quiet mvn -B -q -f "$pom/pom.xml" dependency:copy-dependencies -DincludeScope=runtime "-DoutputDirectory=$dir"
}
# pack TREE TARBALL: the same bytes whenever and wherever it is made
pack() {
    tar --sort=name --mtime=@1600000000 --owner=0 --group=0 --numeric-owner --mode=u+rwX,go+rX,go-w \
        -C "$(dirname "$1")" -c "$(basename "$1")" | gzip -n -6 >"$2"
}
licence() {
    printf 'Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0\n' >"$1/LICENSE$3"
    printf '%s\nThe Apache Software Foundation (https://www.apache.org/). Assembled from Maven Central for tests.\n' "$2" >"$1/NOTICE$3"
}

kafka() { # VERSION SLF4J ZK_TIMEOUT EXTRA_ARTIFACT...
    local v=$1 slf4j=$2 zk_timeout=$3; shift 3
    local tree=$work/kafka_2.12-$v
    mkdir -p "$tree"/{bin,config,libs,site-docs}
    # As awkward as Apache's: names that look like the broker's jar and are not.
    local k=org.apache.kafka:kafka_2.12:$v
    jars "$tree/libs" "$k" "$k:jar.asc" "$k:jar:sources" "$k:jar.asc:sources" "$k:jar:test" "$k:jar.asc:test" \
        "$k:jar:test-sources" "$k:jar:javadoc" "$k:jar:scaladoc" "org.apache.kafka:kafka-tools:$v" \
        "org.apache.kafka:connect-runtime:$v" "org.apache.kafka:connect-file:$v" \
        log4j:log4j:1.2.17 "org.slf4j:slf4j-log4j12:$slf4j" "$@"
    cp "$here"/kafka/bin/*.sh "$tree/bin/"
    while read -r name class; do
        printf '#!/bin/bash\nexec "$(dirname "$0")/kafka-run-class.sh" %s "$@"\n' "$class" >"$tree/bin/$name.sh"
    done <<TOOLS
kafka-acls kafka.admin.AclCommand
kafka-broker-api-versions kafka.admin.BrokerApiVersionsCommand
kafka-configs kafka.admin.ConfigCommand
kafka-console-consumer kafka.tools.ConsoleConsumer
kafka-console-producer kafka.tools.ConsoleProducer
kafka-consumer-groups kafka.admin.ConsumerGroupCommand
kafka-consumer-perf-test kafka.tools.ConsumerPerformance
kafka-delete-records kafka.admin.DeleteRecordsCommand
kafka-dump-log kafka.tools.DumpLogSegments
kafka-log-dirs kafka.admin.LogDirsCommand
kafka-mirror-maker kafka.tools.MirrorMaker
kafka-producer-perf-test org.apache.kafka.tools.ProducerPerformance
kafka-reassign-partitions kafka.admin.ReassignPartitionsCommand
kafka-topics kafka.admin.TopicCommand
kafka-verifiable-consumer org.apache.kafka.tools.VerifiableConsumer
kafka-verifiable-producer org.apache.kafka.tools.VerifiableProducer
zookeeper-shell org.apache.zookeeper.ZooKeeperMainWithTlsSupportForKafka
kafka-preferred-replica-election kafka.admin.PreferredReplicaLeaderElectionCommand
kafka-leader-election kafka.admin.LeaderElectionCommand
TOOLS
    if [ "$v" = 2.1.0 ]; then
        rm "$tree/bin/kafka-leader-election.sh"
        sed -i 's/ZooKeeperMainWithTlsSupportForKafka/ZooKeeperMain -server/' "$tree/bin/zookeeper-shell.sh"
    else
        sed -i 's/ForKafka/ForKafka -server/' "$tree/bin/zookeeper-shell.sh"
    fi
    cp "$here"/kafka/config/* "$tree/config/"
    sed -i "s/@ZK_TIMEOUT@/$zk_timeout/" "$tree/config/server.properties"
    chmod 0755 "$tree"/bin/*.sh
    chmod 0644 "$tree"/config/* "$tree"/libs/*
    licence "$tree" "Apache Kafka $v" ""
    mkdir -p "$work/docs/site-docs" && echo "documentation of $v" >"$work/docs/site-docs/README"
    pack "$work/docs/site-docs" "$tree/site-docs/kafka_2.12-$v-site-docs.tgz"

    local out=$work/site/dist/kafka/$v name=kafka_2.12-$v.tgz
    mkdir -p "$out"
    pack "$tree" "$out/$name"
    # Kafka's .sha512 is gpg's: the name, a colon, groups of eight upper-case digits, 64 of them on four lines.
    (cd "$out" && sha512sum "$name" | tr a-f A-F | awk -v name="$name" '{
        lead = name ": "; pad = sprintf("%" length(lead) "s", "")
        for (i = 0; i < 16; i++) {
            if (i % 4 == 0) line = (i ? pad : lead)
            line = line (i % 4 ? " " : "") substr($1, 8 * i + 1, 8)
            if (i % 4 == 3) print line
        } }' >"$name.sha512")
}

zookeeper() { # VERSION
    local v=$1 tree=$work/apache-zookeeper-$1-bin
    mkdir -p "$tree"/{bin,conf,lib,docs}
    jars "$tree/lib" "org.apache.zookeeper:zookeeper:$v" commons-cli:commons-cli:1.2 jline:jline:2.14.6 \
        org.eclipse.jetty:jetty-server:9.4.35.v20201120 org.eclipse.jetty:jetty-servlet:9.4.35.v20201120 \
        com.fasterxml.jackson.core:jackson-databind:2.10.5.1 com.googlecode.json-simple:json-simple:1.1.1
    rm -f "$tree"/lib/junit* "$tree"/lib/hamcrest*
    cp "$here"/zookeeper/bin/*.sh "$tree/bin/"
    cp "$here"/zookeeper/conf/* "$tree/conf/"
    chmod 0755 "$tree"/bin/*.sh
    chmod 0644 "$tree"/conf/* "$tree"/lib/*
    licence "$tree" "Apache ZooKeeper $v" .txt
    echo "documentation of $v" >"$tree/docs/index.html"
    local out=$work/site/dist/zookeeper/zookeeper-$v name=apache-zookeeper-$v-bin.tar.gz
    mkdir -p "$out"
    pack "$tree" "$out/$name"
    (cd "$out" && sha512sum "$name" >"$name.sha512")
}

kafka 2.1.0 1.7.25 6000
kafka 2.6.0 1.7.30 18000
zookeeper 3.5.9
echo "$recipe" >"$work/site/.recipe"
rm -rf "$site"
mv "$work/site" "$site"
chmod -R u+rwX,go+rX "$site"
echo "$site"
