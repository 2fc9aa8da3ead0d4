# shellcheck shell=sh
# Shared by the maintainer scripts: build_deb.ts puts this in place of their #FUNCTIONS# line.

# Calls "$1 PATH ASIDE" for each file that libvirt's packages have too. The two names of a unit file are one
# file on a merged /usr; which of them libvirt's package uses depends on the release, so both are diverted.
each_diverted() {
    "$1" /usr/sbin/virtlockd /usr/sbin/virtlockd.libvirt
    "$1" /usr/share/man/man8/virtlockd.8.gz /usr/share/man/man8/virtlockd.libvirt.8.gz
    "$1" /usr/share/augeas/lenses/virtlockd.aug /usr/share/augeas/lenses/virtlockd.aug.libvirt
    for unit in virtlockd.service virtlockd.socket virtlockd-admin.socket; do
        "$1" "/lib/systemd/system/$unit" "/lib/systemd/system/$unit.libvirt"
        "$1" "/usr/lib/systemd/system/$unit" "/usr/lib/systemd/system/$unit.libvirt-usr"
    done
}

# Prints the process id of the system's lock daemon, libvirt's or ours; nothing when none runs.
daemon_pid() {
    pid=0
    if [ -d /run/systemd/system ]; then
        pid=$(systemctl show --property=MainPID --value virtlockd.service) || pid=0
    fi
    if [ "${pid:-0}" = 0 ] && [ -r /run/virtlockd.pid ]; then
        pid=$(cat /run/virtlockd.pid)
    fi
    # A PID file that a crash left behind may name a stranger by now.
    if [ "$(cat "/proc/${pid:-0}/comm" 2>/dev/null)" = virtlockd ]; then
        echo "$pid"
    fi
}

# Makes the running daemon exec the program that is installed now. It keeps its process, locks and clients. systemd
# reads the units first: it has to know the descriptor store before ours uses it, and has to give up its copies of
# our descriptors before libvirt's daemon gets them, which cannot release a lock while a copy is open.
hand_over() {
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload || true
    fi
    pid=$(daemon_pid)
    [ -n "$pid" ] || return 0
    kill -USR1 "$pid"
    executed=no
    tries=0
    while [ "$tries" -lt 30 ]; do
        # A process whose program file was replaced under it runs a deleted file, until it execs the new one.
        case $(readlink "/proc/$pid/exe" || echo gone) in
        gone)
            echo "deno-virtlockd: virtlockd (process $pid) ended instead of handing its locks over." >&2
            echo "deno-virtlockd: Running guests may be unlocked: see 'journalctl -u virtlockd'." >&2
            return 0
            ;;
        *' (deleted)') ;;
        *)
            # Looked at once more: a program that cannot take the state over ends after it was executed.
            if [ "$executed" = yes ]; then
                return 0
            fi
            executed=yes
            ;;
        esac
        tries=$((tries + 1))
        sleep 1
    done
    echo "deno-virtlockd: virtlockd (process $pid) goes on with the program that was there before." >&2
    echo "deno-virtlockd: Its log says why. When that is mended, run: kill -USR1 $pid" >&2
}
