#!/bin/bash
# Runs the stages of `make test` or `make test-all` one after the other and prints the seconds of each.
# usage: stages.sh test    stops at the first stage that fails
#        stages.sh all     goes on after a failure, and ends by itself after 70 minutes
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
which=${1:?usage: stages.sh test|all}
limit=$((70 * 60))
root=/var/cache/krun
target=${CARGO_TARGET_DIR:-target}/x86_64-unknown-linux-gnu
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-never}

# Packages, hosts and a real sshd need root; compiling does not, and leaves files that stay the user's.
as_root=()
if [ "$(id -u)" != 0 ]; then
    as_root=(sudo env "PATH=$PATH")
    export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="sudo env PATH=$PATH KRUN_LAB=${KRUN_LAB:-}"
fi
lab() { "${as_root[@]}" "$target/debug/krun" lab "$@"; }
labs() { lab list 2>/dev/null | cut -d: -f1 | sort; }

done_stages=() failed_stages=() missed_stages=() hosts_before='' hosts_known=no

# limited COMMAND...: as long as time is left, and until Ctrl-C (`timeout` has a process group of its own)
limited() {
    timeout --kill-after=30 $((limit - SECONDS)) "$@" </dev/null &
    child=$!
    wait $child
}

# stage NAME COMMAND...: runs it and keeps how long it took
stage() {
    local name=$1 began=$SECONDS status=0; shift
    if [ "$which" = all ] && [ "$SECONDS" -ge "$limit" ]; then
        missed_stages+=("$name")
        return
    fi
    printf '\n==== %s\n' "$name"
    if [ "$which" = all ] && ! declare -F "$1" >/dev/null; then
        limited "$@" || status=$?
    else
        "$@" || status=$?
    fi
    done_stages+=("$(printf '%5d s  %s' $((SECONDS - began)) "$name")")
    printf '==== %s: %d s\n' "$name" $((SECONDS - began))
    if [ "$which" = all ] && [ $status = 124 ]; then
        missed_stages+=("$name (cut off)")
    elif [ $status != 0 ]; then
        failed_stages+=("$name")
        [ "$which" = all ] || exit 1
    fi
}

# What an interrupted stage left: the tests' hosts (`Stage` names them `it-…`) that were not there before.
sweep() {
    [ $hosts_known = yes ] || return 0
    comm -13 <(echo "$hosts_before") <(labs) | while read -r name; do
        case $name in it-* | stages-*) lab down "$name" ;; esac
    done
}

summary() {
    local status=$?
    trap - EXIT
    if [ $status != 0 ] || [ ${#missed_stages[@]} -gt 0 ] || [ ${#failed_stages[@]} -gt 0 ]; then sweep; fi
    printf '\n'
    [ ${#done_stages[@]} = 0 ] || printf '%s\n' "${done_stages[@]}"
    printf '%5d s  in all\n' $SECONDS
    [ ${#missed_stages[@]} = 0 ] || printf 'not reached in %d minutes: %s\n' $((limit / 60)) "${missed_stages[@]}"
    [ ${#failed_stages[@]} = 0 ] || { printf 'FAILED: %s\n' "${failed_stages[@]}"; exit 1; }
    exit $status
}
trap summary EXIT
child=
stop() { [ -z "$child" ] || kill "$child" 2>/dev/null; wait; exit "$1"; }
trap 'stop 130' INT
trap 'stop 143' TERM

# The base image and the tarballs, so that no test's own time holds a download.
image_and_tarballs() {
    hosts_before=$(labs) hosts_known=yes
    "${as_root[@]}" tests/lab/assemble.sh $root || return
    local name=stages-$$
    lab up $name warm.foo.bar >/dev/null || return
    lab down $name
}

licences() {
    cargo deny --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-deny --target-dir "$target/cargo-deny" || return
    cargo deny --config .deny.toml check bans licenses sources
}

# on_hosts FILTER...: tests of tests/it that make hosts, with the program as it is shipped
on_hosts() {
    local krun=$PWD/$target/release/krun
    [ -z "${CARGO_TARGET_DIR:-}" ] || krun=$target/release/krun
    if [ ${#as_root[@]} -gt 0 ]; then
        CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="sudo env PATH=$PATH KRUN_LAB=1 KRUN=$krun"
    fi
    KRUN_LAB=1 KRUN=$krun limited cargo test --features canary --test it -- --ignored --nocapture --test-threads 1 "$@"
}

stage packages "${as_root[@]}" tests/lab/prepare.sh
stage format cargo fmt --check
stage 'shipped agent' cargo build --quiet --release --bin krun
# One set of features, so that everything is compiled once.
stage 'compiling the tests' cargo test --quiet --no-run --features canary
stage 'unit tests' cargo test --quiet --features canary --lib
stage 'rules of the sources' cargo test --quiet --features canary --test it
stage 'whole runs' cargo test --quiet --features canary --test run
stage 'broken input' cargo test --quiet --features canary --test fuzz
stage 'ssh and agent' cargo test --quiet --features canary --test transport
stage canary cargo test --quiet --features canary --bin krun-canary --test canary
stage 'image and tarballs' image_and_tarballs
stage 'install and upgrade under load' on_hosts upgrade::
stage 'three interruption points' on_hosts interrupted::three
if [ "$which" = all ]; then
    stage clippy cargo clippy --quiet --all-targets --features canary -- -D warnings
    stage licences licences
    stage 'all that needs hosts' on_hosts --skip upgrade:: --skip interrupted::three
fi
