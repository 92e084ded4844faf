#!/bin/sh
# Gives a lab host what is its own: names, host key, who may log in, whom it trusts. Runs at every
# boot, before sshd; copies only when the seed is another one than last time (a snapshot in a new lab).
set -eu
umask 022
seed=/krun-seed
[ -e $seed/id ] || exit 0

# Without a default route the lab reaches nothing but itself.
[ -e $seed/outbound ] || ip route del default 2>/dev/null || true

# docker mounts these; a module that renames over one needs a file.
for file in /etc/hosts /etc/resolv.conf /etc/hostname; do
    umount $file 2>/dev/null || true
done

if ! cmp -s $seed/id /var/lib/krun-lab/id; then
    mkdir -p /var/lib/krun-lab
    # What a playbook added to /etc/hosts stays when the lab is another one.
    touch /var/lib/krun-lab/hosts
    grep -vxFf /var/lib/krun-lab/hosts /etc/hosts >/var/lib/krun-lab/added 2>/dev/null || true
    cp -R --no-preserve=ownership $seed/tree/. /
    [ ! -e /var/lib/krun-lab/id ] || cat /var/lib/krun-lab/added >>/etc/hosts
    cp $seed/tree/etc/hosts /var/lib/krun-lab/hosts
    chmod 0600 /etc/ssh/ssh_host_*_key
    while read -r user; do
        id "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$user"
        usermod --append --groups krun-lab "$user"
    done <$seed/users
    # What update-ca-certificates would do, without its seconds of rehashing.
    ca=/usr/local/share/ca-certificates/krun-lab.crt
    ln -sf $ca /etc/ssl/certs/krun-lab.pem
    ln -sf krun-lab.pem "/etc/ssl/certs/$(openssl x509 -noout -hash -in $ca).0"
    for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem; do
        [ ! -e $bundle ] || cat $ca >>$bundle
    done
    [ ! -e $seed/stand-ins ] || /usr/lib/krun-lab-stand-ins <$seed/stand-ins
    cp $seed/id /var/lib/krun-lab/id
fi

if [ -e $seed/serves ]; then
    systemctl start --no-block nginx.service
fi
