# Takes the agent $1 of $2 bytes from standard input (compressed if $3 is gzip) into the first place
# that is the user's own, has room and may execute. One line when sent: every line ends a statement.
umask 077;
a=agent-$1; n=$2; u=$(id -u); w=;
try() {
    [ -d "$d" ] || mkdir "$d" || return 1;
    if [ -L "$d" ]; then echo "is a link"; return 1; fi;
    [ -O "$d" ] || { echo "belongs to another user"; return 1; };
    chmod 700 "$d" || return 1;
    head -c "$n" /dev/zero >"$f" || return 1;
    printf "#%s/bin/sh\nexit 0\n" "$b" >"$f" || return 1;
    chmod 700 "$f" || return 1;
    "$f" 2>/dev/null || { echo "programs there cannot be run (noexec?)"; return 1; };
};
b=$(printf "\041");
for d in "$HOME/.krun" "/var/tmp/krun-$u" "/tmp/krun-$u" "/dev/shm/krun-$u"; do
    f=$d/upload.$$;
    if e=$(try 2>&1); then break; fi;
    rm -f "$f" 2>/dev/null;
    w="$w; $d: $e";
    d=;
done;
say() { printf "\036krun %s %s\n" "$1" "$(printf "%s" "$2" | tr "\n" " ")"; };
if [ -z "$d" ]; then say nowhere "$w"; exit 1; fi;
unpack() { if [ "$1" = gzip ]; then gzip -dc; else cat; fi; };
if e=$({ unpack "$3" >"$f" && chmod 700 "$f" && "$f" agent --install "$n" "$1" "$d/$a"; } 2>&1);
then say installed "";
else rm -f "$f"; say broken "$e";
fi
