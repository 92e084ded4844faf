# Gives a lab host a disk of its own, in memory, for everything that playbooks write to. Runs inside it, with all rights.
# usage: disk.sh UNIT...    (what runs there: stopped while its files move, and started again)
set -eu
disk=/run/krun-lab-disk
mkdir -p $disk
mount -t tmpfs -o size=8g,mode=755 krun-lab-disk $disk
[ $# = 0 ] || systemctl stop "$@"
# What systemd and the lab hold open (/run, /tmp, /usr but for /usr/local) is no playbook's.
for dir in /* /usr/local /var/lib /var/opt; do
    case $dir in /bin | /boot | /dev | /krun-seed | /lib* | /proc | /run | /sbin | /sys | /tmp | /usr | /var | /media | /mnt) continue ;; esac
    { [ -d "$dir" ] && ! [ -L "$dir" ] && ! mountpoint -q "$dir"; } || continue
    mkdir -p "$disk$dir"
    cp -a "$dir/." "$disk$dir/"
    chown --reference="$dir" "$disk$dir"
    chmod --reference="$dir" "$disk$dir"
    mount --bind "$disk$dir" "$dir"
done
systemctl daemon-reload
[ $# = 0 ] || systemctl start "$@"
