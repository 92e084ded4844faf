#!/bin/sh
# Installs what compiling, the tests and a lab need on a Debian or Ubuntu machine, where it is missing. usage: prepare.sh   (as root)
set -eu
want() { # PROGRAM PACKAGE...
    command -v "$1" >/dev/null 2>&1 || { shift; missing="$missing $*"; }
}
missing=
want cc build-essential
want g++ build-essential
want make build-essential
want strip binutils
want sudo sudo
want unshare util-linux
want git git
[ -x /usr/sbin/sshd ] || missing="$missing openssh-server"
want podman podman netavark iptables
want runc runc
want debootstrap debootstrap
want openssl openssl
want ssh openssh-client
want mvn maven
want python3 python3 python3-pip
[ -n "$missing" ] || exit 0
echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive
# Nothing that is installed shall start on this machine, an sshd least of all.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod +x $policy
fi
apt-get -qq update
# shellcheck disable=SC2086
apt-get -qq install -y --no-install-recommends $missing >/dev/null
