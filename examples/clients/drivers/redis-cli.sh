#!/bin/sh
# redis-cli (hiredis) in a script: asks the sentinels in turn for each write.
group=$1
shift
tell() { printf '{"at": %s, %s}\n' "$(date +%s%3N)" "$1"; }
write() {
    for sentinel in "$@"; do
        set -- $(timeout 1 redis-cli -h "${sentinel%:*}" -p "${sentinel##*:}" SENTINEL GET-MASTER-ADDR-BY-NAME "$group" 2>/dev/null)
        [ $# = 2 ] || continue
        timeout 1 redis-cli -e -h "$1" -p "$2" SET redis-cli 1 2>&1
        return
    done
    echo "no sentinel names a master"
}
tell '"begin": true'
while :; do
    said=$(write "$@" | head -n 1 | tr -d '"\\\r')
    if [ "$said" = OK ]; then tell '"ok": true'; else tell "\"error\": \"${said:-no answer}\""; fi
    sleep 0.01
done
