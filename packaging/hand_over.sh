# shellcheck shell=sh
# Hands the running lock daemon over to the program that is installed now. Shared by the maintainer scripts of the
# Debian package and by rpm/divert: the builds put it in place of their #HAND_OVER# line.

# What the running daemon executes when it is told to.
INSTALLED=/usr/sbin/virtlockd

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

# Gives the running daemon's process, locks and clients to the program that is installed now, ours. systemd reads the
# units first: it has to know the descriptor store before ours uses it. Fails when the program does not run here: who
# installs it has to know at once. Where nothing runs at all, as when an image is made, it cannot be tried.
hand_over() {
    read_units
    pid=$(daemon_pid)
    if [ -z "$pid" ] && [ ! -d /run/systemd/system ]; then
        return 0
    fi
    runs_here "$pid" || return 1
    [ -z "$pid" ] || execute_anew "$pid" || true
}

# Whether no lock is lost when our daemon hands over to libvirt's, $1, by the word of our program, $2. Fails with what the
# administrator has to do. A daemon that does not run and for which systemd stores nothing has no lock.
may_hand_back() {
    pid=$(daemon_pid)
    if [ -z "$pid" ] && ! waits_for_daemon; then
        return 0
    fi
    if [ -n "$pid" ] && is_libvirts "$pid"; then
        return 0
    fi
    if ! runs "$2"; then
        echo "deno-virtlockd: Not removed: $2 does not run on this host: $tried" >&2
        echo "deno-virtlockd: Only it can hand the locks of running guests over. Mend that, or install the package again." >&2
        echo "deno-virtlockd: When no guest runs on this host any more, and only then, run" >&2
        echo "deno-virtlockd: 'systemctl stop virtlockd.socket virtlockd.service', and remove the package again." >&2
        return 1
    fi
    "$2" internal-removable "$1"
}

# Whether systemd is about to start the daemon again, or keeps descriptors for it.
waits_for_daemon() {
    [ -d /run/systemd/system ] || return 1
    case $(systemctl show --property=ActiveState --value virtlockd.service) in
    inactive | failed) ;;
    *) return 0 ;;
    esac
    kept=$(systemctl show --property=NFileDescriptorStore --value virtlockd.service)
    [ "${kept:-0}" -gt 0 ]
}

# Whether process $1 is libvirt's daemon, by its library.
is_libvirts() {
    grep -q '/libvirt\.so\.' "/proc/$1/maps" 2>/dev/null
}

# Has our daemon execute libvirt's program, which is in its place now; ours is $1 meanwhile. When this fails, the daemon
# goes on with every lock. Ours takes its descriptors out of systemd's store before, for libvirt's daemon cannot release
# a lock while a copy is open. So systemd reads libvirt's units, which know no store, afterwards.
hand_back() {
    pid=$(daemon_pid)
    if [ -n "$pid" ] && ! is_libvirts "$pid"; then
        "$1" internal-hand-back "$pid"
    fi
}

# For want of a program that could take over. It has no lock then: see may_hand_back().
stop_daemon() {
    pid=$(daemon_pid)
    if [ -d /run/systemd/system ]; then
        systemctl stop virtlockd.socket virtlockd.service || true
    elif [ -n "$pid" ]; then
        kill "$pid"
    fi
}

read_units() {
    if [ -d /run/systemd/system ]; then
        systemctl --system daemon-reload || true
    fi
}

# Whether program $1 runs on this host. What it says is in $tried, if that has an end: one that hangs, or prints for ever,
# must not keep the package manager.
runs() {
    tried=$({ timeout --kill-after=5 20 "$1" --version 2>&1 || echo "(it ended with code $?)"; } 2>/dev/null | head -c 4000)
    if [ "${#tried}" -ge 3900 ]; then
        tried='it writes without end'
        return 1
    fi
    case $tried in
    *'(it ended with code 124)' | *'(it ended with code 137)') tried='it did not end within 20 s' ;;
    *'(it ended with code '*) ;;
    'virtlockd ('* | *'/virtlockd ('*) return 0 ;;
    *) tried="it says '$tried'" ;;
    esac
    return 1
}

# Whether the installed program runs on this host. The daemon of libvirt's, process $1, executes whatever is there, and
# a program that cannot run would lose every lock.
runs_here() {
    if runs "$INSTALLED"; then
        return 0
    fi
    echo "deno-virtlockd: $INSTALLED does not run on this host: $tried" >&2
    if [ -n "$1" ]; then
        echo "deno-virtlockd: Nothing was handed over; virtlockd (process $1) still holds its locks." >&2
        echo "deno-virtlockd: When that is mended, run: kill -USR1 $1" >&2
    fi
    return 1
}

# Makes a daemon exec /usr/sbin/virtlockd, and waits until it runs that. Fails when it does not.
execute_anew() {
    kill -USR1 "$1"
    executed=no
    tries=0
    while [ "$tries" -lt 30 ]; do
        # A process whose program file was replaced under it runs a deleted file, until it execs the new one.
        runs=$(readlink "/proc/$1/exe" || echo gone)
        case $runs in
        gone)
            echo "deno-virtlockd: virtlockd (process $1) ended instead of handing its locks over." >&2
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
    echo "deno-virtlockd: virtlockd (process $1) goes on with the program that was there before." >&2
    echo "deno-virtlockd: Its log says why. When that is mended, run: kill -USR1 $1" >&2
    return 1
}
