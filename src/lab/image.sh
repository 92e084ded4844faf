#!/bin/sh
# Turns Debian's archive into WORK/rootfs.tar, the tree that every lab host starts from; for machines that reach no registry.
# usage: image.sh WORK MIRROR SUITE PACKAGE...     (as root, in a mount namespace of its own; WORK holds setup.sh,
# seed.sh and the JDK)
set -eu
umask 022
work=$1 mirror=$2 suite=$3
shift 3
root=$work/rootfs
packages=$(echo "$@" | tr ' ' ',')
mkdir "$root"
mount -t tmpfs -o mode=0755 lab-image "$root" # dpkg syncs every file; here that costs nothing

debootstrap --variant=minbase --include="$packages" "$suite" "$root" "$mirror" >"$work/debootstrap.log" 2>&1 || {
    tail -n 20 "$work/debootstrap.log" >&2
    exit 1
}
# What names every version of every package, for `krun lock`: the archive's list of its lists.
cat "$root"/var/lib/apt/lists/*Release >"$work/release"
mount --bind "$work" "$root/mnt"
chroot "$root" sh /mnt/setup.sh
umount "$root/mnt"
umount "$root/proc" 2>/dev/null || true
umount "$root/sys" 2>/dev/null || true
tar -C "$root" --numeric-owner --one-file-system -cf "$work/rootfs.tar" .
