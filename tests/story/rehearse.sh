#!/bin/bash
# The whole story on this machine: three ZooKeepers and three Kafka 2.1.0 brokers are installed by krun on hosts of
# their own, and upgraded to 2.6.0 while a client writes; then every acknowledged record is read back. Builds what is
# missing, shows each step as it goes, ends with a summary, and removes its hosts.
# usage: rehearse.sh [--keep]   (as root; --keep leaves the hosts for a look around)
# KRUN and KRUN_CANARY name programs to use instead of building them.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=$PWD
cache=/var/cache/krun
name=${REHEARSAL:-rehearsal}
rate=250
brokers=(peter-kafka01.foo.bar peter-kafka02.foo.bar peter-kafka03.foo.bar)
zookeepers=(peter-zk01.foo.bar peter-zk02.foo.bar peter-zk03.foo.bar)
client=client.foo.bar
bootstrap=$(IFS=,; echo "${brokers[*]/%/:9092}")
keep=
case ${1:-} in
    --keep) keep=1 ;;
    '') ;;
    *) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
[ "$(id -u)" = 0 ] || exec sudo --preserve-env=PATH,HOME,CARGO_HOME,RUSTUP_HOME,CARGO_TARGET_DIR,KRUN,KRUN_CANARY,REHEARSAL "$here/tests/story/rehearse.sh" "$@"

[ -t 1 ] && bold=$'\e[1m' plain=$'\e[0m' || bold='' plain=''
log=$(mktemp -d)
on() { local host=$1; shift; ssh -F "$config" "$host" "$@"; }
step() { printf '\n%s%3d:%02d  %s%s\n' "$bold" $((SECONDS / 60)) $((SECONDS % 60)) "$*" "$plain"; }
indented() { sed -u 's/^/        /'; }
target=${CARGO_TARGET_DIR:-$here/target}/x86_64-unknown-linux-gnu
krun=${KRUN:-$target/release/krun}
lab() { "$krun" lab "$@"; }

config=
up=
load=
end() {
    local code=$?
    trap - EXIT INT TERM HUP
    [ -z "$load" ] || kill "$load" 2>/dev/null || true
    if [ $code != 0 ] && [ -s "$log/load" ]; then
        echo "the client's last words:"
        tail -n 5 "$log/load" | indented
    fi
    if [ -n "$up" ] && [ -n "$keep" ]; then
        echo "the hosts are up: ssh -F $config ${brokers[0]}"
        echo "to remove them:   $krun lab down $name"
    elif [ -n "$up" ]; then
        step "Removing the hosts"
        lab down "$name" >/dev/null || code=1
    fi
    rm -rf "$log"
    [ $code = 0 ] || echo "The rehearsal did not end well (exit $code)."
    exit $code
}
trap end EXIT
trap 'exit 130' INT TERM HUP

# took NAME COMMAND...: runs it, keeps the seconds under NAME
declare -A seconds
took() {
    local what=$1 begun=$SECONDS; shift
    "$@"
    seconds[$what]=$((SECONDS - begun))
}

# krun LOG ARGUMENT...: krun as a user types it, shown and kept
krun() {
    local to=$log/$1; shift
    echo "        \$ krun -i inventories/example $*"
    "$krun" -i inventories/example "--ssh-common-args=-F $config" "$@" | tee "$to"
}

# running HOST: the version in the name of the jar on the running process's class path
running() {
    on "$1" 'tr "\0:" "\n\n" </proc/$(pgrep -f "kafka[.]Kafka")/cmdline' |
        sed -n 's|.*/libs/kafka_[0-9.]*-\([0-9.]*\)\.jar$|\1|p'
}
versions() {
    local host
    for host in "${brokers[@]}"; do printf '%s ' "$(running "$host")"; done
}

build() {
    tests/lab/prepare.sh
    [ -n "${KRUN:-}" ] || cargo build --release --bin krun
    canary=${KRUN_CANARY:-$target/release/krun-canary}
    [ -n "${KRUN_CANARY:-}" ] || cargo build --release --features canary --bin krun-canary
}

step "Building krun and the client"
took build build
step "Making the tarballs of Kafka 2.1.0, 2.6.0 and ZooKeeper 3.5.9 from Maven's jars"
took tarballs tests/lab/assemble.sh "$cache" > >(indented)
step "Starting seven hosts, each with systemd and sshd"
lab down "$name" >/dev/null 2>&1 || true
up=1
took hosts lab up --site "archive.apache.org=$cache/archive.apache.org" "$name" "${zookeepers[@]}" "${brokers[@]}" "$client" > >(indented) 2>&1
config=$(lab ssh-config "$name")

step "Installing ZooKeeper"
took zookeeper krun zookeeper playbooks/zookeeper.yml
step "Installing Kafka 2.1.0"
took kafka krun kafka playbooks/kafka2.1.yml
before=$(versions)
step "A client sends $rate numbered records a second, acks=all, to 6 partitions on 3 brokers"
krun topic tests/story/topic.yml
scp -qF "$config" "$canary" "$client:krun-canary"
on "$client" "./krun-canary produce --bootstrap $bootstrap --topic orders --rate $rate --acks all \
    --delivery-timeout 120 --state load" >"$log/sent.json" 2>"$log/load" &
load=$!
until grep -q 'acknowledged a second, sent [1-9][0-9][0-9]' "$log/load"; do
    kill -0 "$load" || exit 1
    sleep 0.5
done
tail -n 1 "$log/load" | indented
step "Upgrading to 2.6.0 under this load"
took upgrade krun upgrade playbooks/upgrade-2.6.yml
after=$(versions)
step "Stopping the client, and reading every record back"
on "$client" 'pkill -TERM -x krun-canary'
wait "$load"
load=
tail -n 1 "$log/load" | indented
took verify on "$client" "./krun-canary verify --bootstrap $bootstrap --topic orders --state load 2>verify.log ||
    { tail -n 20 verify.log >&2; false; }" >"$log/read.json"
step "The same upgrade once more: nothing is left to do"
took again krun again playbooks/upgrade-2.6.yml

changed=$(sed -n '/PLAY RECAP/,$s/.*changed=\([0-9]*\).*/\1/p' "$log/again" | paste -sd+ | xargs -I{} sh -c 'echo $(({}))')
step "What happened"
python3 - "$log/sent.json" "$log/read.json" <<PYTHON | indented
import json, sys
sent, read = (json.loads(open(path).read().splitlines()[-1]) for path in sys.argv[1:])
gap = read["longest_gap"] or {}
rows = [
    ("brokers before", "${before% }"),
    ("brokers after", "${after% }"),
    ("records sent", f"{sent['sent']:,} of {sent['planned']:,} planned, in {(sent['stopped'] - sent['started']) / 1000:.0f} s"),
    ("acknowledged", f"{sent['acked']:,}"),
    ("failed", sent["failed"]),
    ("lost", read["lost"]),
    ("duplicated", read["duplicated"]),
    ("out of order", read["out_of_order"]),
    ("longest gap", f"{gap.get('seconds', 0)} s without an acknowledgement"),
    ("slowest record", f"{sent['slowest_ack_seconds']:.1f} s until it was acknowledged"),
    ("the second run", "changed=$changed"),
    ("seconds", "hosts ${seconds[hosts]}, ZooKeeper ${seconds[zookeeper]}, Kafka ${seconds[kafka]}, upgrade ${seconds[upgrade]}, reading back ${seconds[verify]}, second run ${seconds[again]}"),
]
for name, value in rows:
    print(f"{name:16}{value}")
PYTHON
[ "$after" = "2.6.0 2.6.0 2.6.0 " ] && [ "$changed" = 0 ]
