#!/bin/bash
# Proves the lab by hand: three ZooKeepers and three 2.1.0 brokers on six hosts, started over ssh, until
# kafka-topics.sh sees one cluster. Prints seconds. usage: smoke.sh [--keep]   (as root, from the repository's root)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
name=smoke
zk=(peter-zk01.foo.bar peter-zk02.foo.bar peter-zk03.foo.bar)
kafka=(peter-kafka01.foo.bar peter-kafka02.foo.bar peter-kafka03.foo.bar)
say() { printf '%4d s  %s\n' $SECONDS "$*"; }

"$here/prepare.sh"
"$here/assemble.sh" /var/cache/krun >/dev/null
say "tarballs are there"
cargo build --quiet --example lab
lab() { "${CARGO_TARGET_DIR:-target}/x86_64-unknown-linux-gnu/debug/examples/lab" "$@"; }
say "compiled"
[ "${1:-}" = --keep ] || trap 'lab down $name' EXIT
lab up $name "${zk[@]}" "${kafka[@]}"
say "hosts are up"
config=$(lab ssh-config $name)
"$here/cluster.sh" "$config"
say "a cluster is there"

ssh -F "$config" "${kafka[0]}" bash -euo pipefail -s <<'SCRIPT'
cd /usr/local/kafka
zk=peter-zk01.foo.bar:2181
brokers=peter-kafka01.foo.bar:9092,peter-kafka02.foo.bar:9092,peter-kafka03.foo.bar:9092
bin/kafka-topics.sh --zookeeper $zk --create --topic peter-overview --partitions 6 --replication-factor 3
until [ "$(bin/kafka-topics.sh --zookeeper $zk --describe --topic peter-overview | grep -c 'Isr: [123],[123],[123]')" = 6 ]; do :; done
seq 100 | bin/kafka-console-producer.sh --broker-list $brokers --topic peter-overview
read=$(bin/kafka-console-consumer.sh --bootstrap-server $brokers --topic peter-overview --from-beginning \
    --max-messages 100 --timeout-ms 60000 --group peter-group 2>/dev/null | sort -n | md5sum)
[ "$read" = "$(seq 100 | md5sum)" ]
bin/kafka-topics.sh --zookeeper $zk --list
bin/kafka-broker-api-versions.sh --bootstrap-server $brokers | grep -c '^peter-kafka'
bin/kafka-consumer-groups.sh --bootstrap-server $brokers --describe --group peter-group 2>/dev/null | head -n 3
SCRIPT
say "a topic of six partitions on three brokers holds 100 records"

# One after the other: a broker whose controller stops at the same time waits minutes for an answer.
for host in "${kafka[@]}"; do
    ssh -F "$config" "$host" 'sudo systemctl stop kafka-server; systemctl show -p Result --value kafka-server' | grep -qx success
    say "$host stopped on TERM"
done
