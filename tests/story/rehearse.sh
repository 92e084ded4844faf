#!/bin/bash
# The whole story on this machine, by `krun rehearse`: three ZooKeepers and three Kafka 2.1.0 brokers on hosts of their
# own, upgraded to 2.6.0 under load, with proof. Builds what is missing first; removes its hosts in the end.
# usage: rehearse.sh [OPTION...]   (as root; further options of `krun rehearse`, such as --keep or --report FILE.html)
# KRUN and KRUN_CANARY name programs to use instead of building them, REHEARSAL the lab.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=$PWD
case ${1:-} in -h | --help) sed -n '2,6s/^# \{0,1\}//p' "$0"; exit ;; esac
[ "$(id -u)" = 0 ] || exec sudo --preserve-env=PATH,HOME,CARGO_HOME,RUSTUP_HOME,CARGO_TARGET_DIR,KRUN,KRUN_CANARY,REHEARSAL "$here/tests/story/rehearse.sh" "$@"

cache=/var/cache/krun
name=${REHEARSAL:-rehearsal}
built=${CARGO_TARGET_DIR:-$here/target}/x86_64-unknown-linux-gnu/release
krun=${KRUN:-$built/krun}
canary=${KRUN_CANARY:-$built/krun-canary}
step() { printf '\n%s\n' "$*"; }

step "Building krun and the client that makes the load"
tests/lab/prepare.sh
[ -n "${KRUN:-}" ] || cargo build --release --bin krun
[ -n "${KRUN_CANARY:-}" ] || cargo build --release --features canary --bin krun-canary
step "Making the tarballs of Kafka 2.1.0, 2.6.0 and ZooKeeper 3.5.9 from Maven's jars"
tests/lab/assemble.sh "$cache" | sed -u 's/^/        /'
# What an earlier rehearsal left that was killed.
"$krun" lab down "$name" >/dev/null 2>&1 || true

exec "$krun" rehearse -i inventories/example --lab "$name" --canary "$canary" \
    --site "archive.apache.org=$cache/archive.apache.org" \
    --from playbooks/zookeeper.yml --from playbooks/kafka2.1.yml "$@" playbooks/upgrade-2.6.yml
