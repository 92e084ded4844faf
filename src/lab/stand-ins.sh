#!/bin/sh
# Gives a lab host a dnf that knows empty packages of the names on standard input, and nothing else. Where its name is
# that of a JDK, a package leads to the host's own. usage: stand-ins.sh <LINES     (NAME VERSION RELEASE, as root)
set -eu
home=/var/lib/krun-lab
repo=$home/stand-ins
work=$home/stand-ins.work
rm -rf "$repo" "$work"
mkdir -p "$repo" "$work" /etc/yum.repos.d
jdk=/usr/lib/jvm/java-11

while read -r name version release; do
    java=
    case $name in
        java-*-openjdk | java-*-openjdk-headless | java-*-openjdk-devel) java=${name%%-openjdk*} ;;
    esac
    {
        printf 'Name: %s\nVersion: %s\nRelease: %s\n' "$name" "$version" "$release"
        printf 'Summary: A stand-in for %s, made by krun\nLicense: MIT\nBuildArch: noarch\nAutoReqProv: no\n' "$name"
        printf '%%description\nAn empty package of this name, for a rehearsal.\n%%install\n'
        links="java-${java#java-}-openjdk jre-${java#java-}-openjdk java jre"
        if [ -n "$java" ]; then
            printf 'mkdir -p %%{buildroot}/usr/lib/jvm\n'
            for link in $links; do printf 'ln -s %s %%{buildroot}/usr/lib/jvm/%s\n' "$jdk" "$link"; done
        fi
        printf '%%files\n'
        [ -z "$java" ] || for link in $links; do printf '/usr/lib/jvm/%s\n' "$link"; done
    } >"$work/$name.spec"
done
rpmbuild --quiet --define "_topdir $work" --define "_rpmdir $repo" --define '_build_id_links none' -bb "$work"/*.spec
createrepo_c --quiet "$repo"
rm -rf "$work"
# What cannot be reached would only be waited for. A host that begins from a snapshot has krun's own already.
for file in /etc/yum.repos.d/*.repo; do
    case $file in
        */krun.repo) ;;
        *) [ ! -e "$file" ] || mv "$file" "$file.before-krun" ;;
    esac
done
printf '[krun-stand-ins]\nname=stand-ins, made by krun\nbaseurl=file://%s\ngpgcheck=0\n' "$repo" >/etc/yum.repos.d/krun.repo
