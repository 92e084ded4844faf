#!/bin/sh
# Turns a base system into a lab host: packages, a JDK, logins, units. Runs inside it, as root, with what it needs in /mnt.
# usage: setup.sh [PACKAGE...]     (packages by their Debian names; none where they are there already)
set -eu
umask 022
work=/mnt

install_packages() {
    if command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get -qq update && apt-get -qq install --no-install-recommends "$@" >/dev/null
        return
    fi
    manager=$(command -v dnf || command -v yum) || {
        echo "the base has neither apt-get, dnf nor yum" >&2
        exit 1
    }
    for name; do
        shift
        case $name in
            systemd-sysv | libpam-systemd) continue ;;
            openssh-server) set -- "$@" openssh-server openssh-clients ;;
            iproute2) set -- "$@" iproute ;;
            iputils-ping) set -- "$@" iputils ;;
            procps) set -- "$@" procps-ng ;;
            netcat-openbsd) set -- "$@" nmap-ncat ;;
            nginx-light) set -- "$@" nginx ;;
            rpm) set -- "$@" rpm-build ;;
            createrepo-c) set -- "$@" createrepo_c ;;
            curl) command -v curl >/dev/null || set -- "$@" curl ;;
            *) set -- "$@" "$name" ;;
        esac
    done
    # useradd and cmp are taken for granted on Debian.
    "$manager" -y -q install "$@" shadow-utils diffutils >/dev/null
}
[ $# = 0 ] || install_packages "$@"

# The JDK: 11, because Kafka 2.1 with its ZooKeeper client fails on 14 and later.
mkdir -p /usr/lib/jvm
cp -R $work/jdk/java-runtime /usr/lib/jvm/java-11
chmod +x /usr/lib/jvm/java-11/bin/* /usr/lib/jvm/java-11/lib/jspawnhelper
for tool in java keytool jcmd jstack jps; do
    [ -e "/usr/bin/$tool" ] || ln -s "/usr/lib/jvm/java-11/bin/$tool" "/usr/bin/$tool"
done

# What belongs to one host only comes from its seed, never from the image. Some of it is a mount while an engine builds.
rm -f /etc/ssh/ssh_host_*
for file in /etc/hosts /etc/resolv.conf /etc/hostname; do
    rm -f "$file" 2>/dev/null || true
done
: >/etc/machine-id
rm -f /var/lib/dbus/machine-id
echo LANG=C.UTF-8 >/etc/default/locale
rm -rf /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/lib/apt/lists/*_* /var/log/*.log

install -m 0755 $work/seed.sh /usr/lib/krun-lab-seed
install -m 0755 $work/stand-ins.sh /usr/lib/krun-lab-stand-ins
cat >/etc/systemd/system/krun-lab-seed.service <<'UNIT'
[Unit]
Description=this host's own name, keys and trust, from the lab
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target ssh.service sshd.service nginx.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/krun-lab-seed

[Install]
WantedBy=sysinit.target
UNIT
mkdir -p /etc/ssh/sshd_config.d
cat >/etc/ssh/sshd_config.d/00-krun-lab.conf <<'CONF'
AuthorizedKeysFile .ssh/authorized_keys .ssh/authorized_keys2 /etc/ssh/krun_lab_keys
PermitRootLogin prohibit-password
CONF
grep -q '^Include /etc/ssh/sshd_config.d' /etc/ssh/sshd_config ||
    sed -i '1i Include /etc/ssh/sshd_config.d/*.conf' /etc/ssh/sshd_config

useradd --create-home --shell /bin/bash krun
mkdir -p /etc/sudoers.d
echo '%krun-lab ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/krun-lab
chmod 0440 /etc/sudoers.d/krun-lab
groupadd --system krun-lab
usermod --append --groups krun-lab krun

sshd=ssh.service
[ -e /lib/systemd/system/ssh.service ] || sshd=sshd.service
systemctl --quiet enable krun-lab-seed.service $sshd 2>/dev/null
systemctl --quiet disable nginx.service 2>/dev/null || true
# A login waits for the end of its user's manager, which hybrid control groups sometimes do not tell. Kernel settings
# and modules are the machine's own, where the engine lets a host reach them.
systemctl --quiet mask user@.service \
    apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer \
    console-getty.service getty.target systemd-udevd.service systemd-udev-trigger.service \
    systemd-udevd-kernel.socket systemd-udevd-control.socket systemd-sysctl.service systemd-modules-load.service \
    2>/dev/null
