#!/bin/bash
# Turns the running cluster of cluster.sh into one that asks everybody who they are: SASL_SSL between the brokers
# (SCRAM-SHA-512) and for clients (PLAIN, too), a listener for client certificates, and ACLs.
# CERTIFICATES holds ca.crt, and NAME.crt with NAME.key for each broker and for `certified.foo.bar`.
# Leaves /etc/kafka/USER.properties on every broker's host. usage: secure.sh SSH_CONFIG CERTIFICATES
set -euo pipefail
config=${1:?usage: secure.sh SSH_CONFIG CERTIFICATES}
certificates=${2:?usage: secure.sh SSH_CONFIG CERTIFICATES}
brokers=(peter-kafka01.foo.bar peter-kafka02.foo.bar peter-kafka03.foo.bar)
say() { printf '%4d s  %s\n' $SECONDS "$*"; }
on() { local host=$1; shift; ssh -F "$config" "$host" sudo bash -euo pipefail -s; }
# A key with its certificate, as Java keeps them.
store() { openssl pkcs12 -export -in "$certificates/$1.crt" -inkey "$certificates/$1.key" -name own -passout pass:store-secret | base64 -w0; }

rights='
cd /usr/local/kafka/bin
zookeeper=peter-zk01.foo.bar:2181
for user in admin operator; do
    ./kafka-configs.sh --zookeeper $zookeeper --alter --entity-type users --entity-name $user \
        --add-config "SCRAM-SHA-512=[password=$user-secret]"
done
allow() { # PRINCIPAL RESOURCE... -- OPERATION...
    local words=(--add --allow-principal "$1"); shift
    while [ "$1" != -- ]; do words+=("$1"); shift; done
    shift
    for operation; do words+=(--operation "$operation"); done
    ./kafka-acls.sh --authorizer-properties zookeeper.connect=$zookeeper "${words[@]}"
}
for user in User:operator User:writer User:CN=certified.foo.bar; do
    allow $user --cluster -- Describe DescribeConfigs Create
    allow $user --topic "*" -- Describe DescribeConfigs Read Write
    allow $user --group "*" -- Describe Read
done
# Each of these lacks one right.
allow User:reader --topic "*" -- Describe Read
allow User:halfblind --cluster -- Describe DescribeConfigs
allow User:halfblind --topic __consumer_offsets -- Describe DescribeConfigs
allow User:groupless --topic "*" -- Describe Read Write
'
on "${brokers[0]}" <<<"$rights" >/dev/null
say "users and rights"

secure() { # HOST: its settings, stores and clients; nothing is restarted
    on "$1" <<SCRIPT
mkdir -p /etc/kafka
cd /etc/kafka
echo $(store "$1") | base64 -d >own.p12
echo $(store certified.foo.bar) | base64 -d >certified.p12
cat >ca.crt <<'CA'
$(cat "$certificates/ca.crt")
CA
rm -f trust.jks certified.jks
keytool -importcert -noprompt -alias ca -file ca.crt -keystore trust.jks -storetype JKS -storepass trust-secret 2>/dev/null
keytool -importkeystore -srckeystore certified.p12 -srcstoretype PKCS12 -srcstorepass store-secret \
    -destkeystore certified.jks -deststoretype JKS -deststorepass jks-secret -destkeypass key-secret -srcalias own -noprompt 2>/dev/null
cd /usr/local/kafka/config
sed -i '/^listeners=/d' server.properties
cat >>server.properties <<SETTINGS
listeners=SASL_SSL://$1:9093,CERTIFIED://$1:9094
listener.security.protocol.map=SASL_SSL:SASL_SSL,CERTIFIED:SSL
inter.broker.listener.name=SASL_SSL
sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required username="admin" password="admin-secret";
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_writer="writer-secret" user_reader="reader-secret" user_groupless="groupless-secret" user_halfblind="halfblind-secret" user_stranger="stranger-secret";
ssl.keystore.location=/etc/kafka/own.p12
ssl.keystore.type=PKCS12
ssl.keystore.password=store-secret
ssl.key.password=store-secret
ssl.truststore.location=/etc/kafka/trust.jks
ssl.truststore.password=trust-secret
listener.name.certified.ssl.client.auth=required
authorizer.class.name=kafka.security.auth.SimpleAclAuthorizer
super.users=User:admin
SETTINGS
client() { # USER MECHANISM MODULE
    cat >/etc/kafka/\$1.properties <<CLIENT
security.protocol=SASL_SSL
sasl.mechanism=\$2
sasl.jaas.config=org.apache.kafka.common.security.\$3 required username="\$1" password="\$1-secret";
ssl.truststore.location=/etc/kafka/trust.jks
ssl.truststore.password=trust-secret
CLIENT
}
client operator SCRAM-SHA-512 scram.ScramLoginModule
for user in writer reader groupless halfblind stranger; do client \$user PLAIN plain.PlainLoginModule; done
client kerberos GSSAPI plain.PlainLoginModule
client bearer OAUTHBEARER oauthbearer.OAuthBearerLoginModule
cat >certified.tmp <<CLIENT
security.protocol=SSL
ssl.keystore.location=/etc/kafka/certified.jks
ssl.keystore.password=jks-secret
ssl.key.password=key-secret
ssl.truststore.location=/etc/kafka/trust.jks
ssl.truststore.password=trust-secret
CLIENT
mv certified.tmp /etc/kafka/certified.properties
SCRIPT
}
for host in "${brokers[@]}"; do secure "$host"; done
say "settings and stores"

# All at once: a broker with an open listener and one without cannot talk to each other.
pids=()
for host in "${brokers[@]}"; do
    on "$host" <<'SCRIPT' &
systemctl restart kafka-server
until nc -z "$(hostname)" 9093; do systemctl -q is-active kafka-server; sleep 0.2; done
SCRIPT
    pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid"; done
say "brokers listen"
