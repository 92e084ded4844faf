#!/bin/bash
# Installs and starts three ZooKeepers and three brokers on the hosts of a lab, over ssh, without krun: a cluster
# for tests of the lab itself and of what asks brokers. Prints seconds. usage: cluster.sh SSH_CONFIG [KAFKA_VERSION]
set -euo pipefail
config=${1:?usage: cluster.sh SSH_CONFIG [KAFKA_VERSION]}
version=${2:-2.1.0}
zk=(peter-zk01.foo.bar peter-zk02.foo.bar peter-zk03.foo.bar)
kafka=(peter-kafka01.foo.bar peter-kafka02.foo.bar peter-kafka03.foo.bar)
say() { printf '%4d s  %s\n' $SECONDS "$*"; }
on() { local host=$1; shift; ssh -F "$config" "$host" sudo bash -euo pipefail -s -- "$@"; }
everywhere() { # SCRIPT HOST...: the script on each host at once, its number as \$1
    local script=$1 n=0 pids=() host pid; shift
    for host in "$@"; do
        n=$((n + 1))
        on "$host" $n <<<"$script" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
}
fetch='
fetch() { # URL: into /opt, checked against the sum beside it, unpacked to /usr/local
    cd /opt
    curl -fsS --remote-name "$1" --remote-name "$1.sha512"
    file=$(basename "$1")
    want=$(tr -d " \n" <"$file.sha512" | tr A-F a-f | sed "s/^$file://; s/$file\$//")
    [ "$(sha512sum <"$file" | cut -d" " -f1)" = "$want" ]
    tar -C /usr/local -xf "$file"
}'

everywhere "$fetch"'
fetch https://archive.apache.org/dist/zookeeper/zookeeper-3.5.9/apache-zookeeper-3.5.9-bin.tar.gz
ln -s apache-zookeeper-3.5.9-bin /usr/local/zookeeper
useradd --system zookeeper
install -d -o zookeeper -g zookeeper /data/zk
chown -R zookeeper: /usr/local/apache-zookeeper-3.5.9-bin
echo "$1" >/data/zk/myid
printf "%s\n" tickTime=2000 initLimit=10 syncLimit=5 dataDir=/data/zk \
    "4lw.commands.whitelist=srvr,mntr,ruok" admin.enableServer=false >/usr/local/zookeeper/conf/zoo.cfg
for n in 1 2 3; do
    echo "server.$n=peter-zk0$n.foo.bar:2888:3888;2181" >>/usr/local/zookeeper/conf/zoo.cfg
done
cat >/etc/systemd/system/zookeeper-server.service <<UNIT
[Service]
Type=forking
User=zookeeper
Environment=SERVER_JVMFLAGS=-Xmx128m
ExecStart=/usr/local/zookeeper/bin/zkServer.sh start
ExecStop=/usr/local/zookeeper/bin/zkServer.sh stop
UNIT
systemctl daemon-reload
systemctl start zookeeper-server
until echo srvr | nc -w 2 localhost 2181 | grep -q Mode; do sleep 0.2; done
' "${zk[@]}"
say "ZooKeeper has a quorum"

everywhere "$fetch"'
fetch https://archive.apache.org/dist/kafka/'$version'/kafka_2.12-'$version'.tgz
ln -s kafka_2.12-'$version' /usr/local/kafka
mkdir -p /data/kafka-logs
echo "JMX_PORT=9999
KAFKA_HEAP_OPTS=-Xmx256m -Xms256m" >/usr/local/kafka/config/jmx
cd /usr/local/kafka/config
sed -i "s/^broker.id=.*/broker.id=$1/; s|^log.dirs=.*|log.dirs=/data/kafka-logs|
    s/^zookeeper.connect=.*/zookeeper.connect=peter-zk01.foo.bar:2181,peter-zk02.foo.bar:2181,peter-zk03.foo.bar:2181/" server.properties
echo "listeners=PLAINTEXT://$(hostname):9092
offsets.topic.replication.factor=3
default.replication.factor=3
min.insync.replicas=2" >>server.properties
cat >/etc/systemd/system/kafka-server.service <<UNIT
[Service]
EnvironmentFile=/usr/local/kafka/config/jmx
ExecStart=/usr/local/kafka/bin/kafka-server-start.sh /usr/local/kafka/config/server.properties
ExecStop=/usr/local/kafka/bin/kafka-server-stop.sh
SuccessExitStatus=143
UNIT
systemctl daemon-reload
systemctl start kafka-server
until nc -z "$(hostname)" 9092; do systemctl -q is-active kafka-server; sleep 0.2; done
' "${kafka[@]}"
say "brokers listen"
