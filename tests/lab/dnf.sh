#!/bin/bash
# Gives a Debian host with rpm, dnf and createrepo-c a dnf repository of its own: empty packages of the names asked
# for, and nothing else. usage: dnf.sh NAME...   (as root, on the host)
set -euo pipefail
repo=/srv/repo
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$repo" /etc/yum.repos.d
for name in "$@"; do
    {
        printf 'Name: %s\nVersion: 1.0\nRelease: 1\nSummary: A stand-in for %s\nLicense: MIT\n' "$name" "$name"
        printf 'BuildArch: noarch\n%%description\nAn empty package.\n%%files\n'
    } >"$work/$name.spec"
done
rpmbuild --quiet --define "_topdir $work" --define "_rpmdir $repo" -bb "$work"/*.spec
createrepo_c --quiet "$repo"
printf '[local]\nname=local\nbaseurl=file://%s\ngpgcheck=0\n' "$repo" >/etc/yum.repos.d/local.repo
