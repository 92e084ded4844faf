#!/bin/sh
# Installs what a lab needs on a Debian or Ubuntu machine, where it is missing. usage: prepare.sh   (as root)
set -eu
want() { # PROGRAM PACKAGE...
    command -v "$1" >/dev/null 2>&1 || { shift; missing="$missing $*"; }
}
missing=
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
apt-get -qq update
# shellcheck disable=SC2086
apt-get -qq install -y --no-install-recommends $missing >/dev/null
