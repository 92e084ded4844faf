# Prints what a person needs to see why a broker does not come back: threads, logs, journals. Runs on a lab's host, as root.
say() { printf '\n===== %s\n' "$*"; }
say "the host"
uptime
df -h
ip -brief address
for pid in $(pgrep -f '[ ]kafka[.]Kafka '); do
    say "process $pid"
    grep -E '^(State|Threads|VmRSS)' "/proc/$pid/status"
    say "threads of process $pid"
    timeout 20 jstack -l "$pid" 2>&1 || {
        say "it does not answer: kill -3, its threads are in its journal below"
        kill -QUIT "$pid" && sleep 2
    }
done
# Where running brokers write, and where one wrote that is gone.
{
    for pid in $(pgrep -f '[ ]kafka[.]Kafka '); do
        tr '\0' '\n' <"/proc/$pid/cmdline" | sed -n 's/^-Dkafka.logs.dir=//p'
    done | xargs -r realpath
    find /usr/local /opt /srv /home /var/log /data -maxdepth 5 -name server.log -mmin -60 -printf '%h\n' 2>/dev/null
} | sort -u | while read -r dir; do
    for log in "$dir"/server.log "$dir"/controller.log "$dir"/state-change.log; do
        [ -e "$log" ] || continue
        say "the end of $log"
        tail -n 1500 "$log"
    done
done
say "units"
systemctl --no-pager --no-legend list-units --type=service --all
say "journal"
journalctl --no-pager -o short-iso -n 4000
for file in /root/.krun/journal* /home/*/.krun/journal* /var/tmp/krun-*/journal*; do
    [ -f "$file" ] || continue
    say "agent's journal $file"
    cat "$file"
done
