# Starts the cached agent $1, or says what this host is. One line when sent: every line ends a statement.
# What is not the user's own (a directory, a file, a link in its place) is as good as absent.
a=agent-$1;
run() {
    [ -L "$d" ] && return;
    [ -d "$d" ] && [ -O "$d" ] && [ -s "$d/$a" ] && [ -O "$d/$a" ] && [ -x "$d/$a" ] && exec "$d/$a" agent;
};
d=$HOME/.krun;
run;
u=$(id -u);
for d in "/var/tmp/krun-$u" "/tmp/krun-$u" "/dev/shm/krun-$u"; do run; done;
z=plain;
command -v gzip >/dev/null 2>&1 && z=gzip;
printf "\036krun absent %s %s %s\n" "$(uname -s)" "$(uname -m)" "$z"
