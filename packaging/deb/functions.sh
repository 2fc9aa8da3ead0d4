# shellcheck shell=sh
# Shared by the maintainer scripts: build_deb.ts puts this in place of their #FUNCTIONS# line, after hand_over.sh in
# place of #HAND_OVER#.

UNITS='virtlockd.service virtlockd.socket virtlockd-admin.socket'
# Our units are not where libvirt's package has its own: its scripts put diversions there themselves. A link in
# /etc/systemd/system comes before either.
OUR_UNITS=/usr/lib/virtlockd/system
SYSTEM=/etc/systemd/system

# Calls "$1 PATH ASIDE" for each file that libvirt's packages have too.
each_diverted() {
    "$1" /usr/sbin/virtlockd /usr/sbin/virtlockd.libvirt
    "$1" /usr/share/man/man8/virtlockd.8.gz /usr/share/man/man8/virtlockd.libvirt.8.gz
    "$1" /usr/share/augeas/lenses/virtlockd.aug /usr/share/augeas/lenses/virtlockd.aug.libvirt
}

# Calls "$1 PATH ASIDE" for each unit that early versions of this package have diverted: under both names of
# the directory, which are one on a merged /usr.
each_old_diversion() {
    for unit in $UNITS; do
        for directory in /lib /usr/lib; do
            path=$directory/systemd/system/$unit
            if [ "$(dpkg-divert --listpackage "$path")" = deno-virtlockd ]; then
                "$1" "$path" "$(dpkg-divert --truename "$path")"
            fi
        done
    done
}

# Whether the installed units are those of such a version.
has_old_diversions() {
    [ -n "$(each_old_diversion echo)" ]
}

# Puts our units before libvirt's. What an administrator has put there is left alone, and so is a masked unit.
link_units() {
    mkdir -p "$SYSTEM"
    for unit in $UNITS; do
        if [ "$(readlink "$SYSTEM/$unit")" = "$OUR_UNITS/$unit" ]; then
            continue
        elif [ -e "$SYSTEM/$unit" ] || [ -L "$SYSTEM/$unit" ]; then
            echo "deno-virtlockd: $SYSTEM/$unit is not ours and stays; 'virtlockd doctor' tells what it lacks." >&2
        else
            ln -s "$OUR_UNITS/$unit" "$SYSTEM/$unit"
        fi
    done
}

# Gives libvirt's units their place back. Links that systemctl has made while ours were in force, when the units were
# enabled, name a file of ours; systemd only looks at their own names, but nothing of ours shall stay.
unlink_units() {
    for unit in $UNITS; do
        if [ "$(readlink "$SYSTEM/$unit")" = "$OUR_UNITS/$unit" ]; then
            rm -f "$SYSTEM/$unit"
        fi
        for wanted in "$SYSTEM"/*.wants/"$unit"; do
            case $(readlink "$wanted") in
            "$OUR_UNITS/$unit" | "$SYSTEM/$unit") ln -sf "/usr/lib/systemd/system/$unit" "$wanted" ;;
            esac
        done
    done
}

PROGRAM=/usr/sbin/virtlockd

# Puts libvirt's program into its place while dpkg still has ours there, so that a daemon of ours can execute it, or go
# on if it will not. Renamed, not copied: the daemon then runs the very file that libvirt's package owns. It has to be
# undone, also when this fails.
put_libvirts_in_place() {
    ln -f "$PROGRAM" "$PROGRAM.ours" && mv -f "$PROGRAM.libvirt" "$PROGRAM"
}

# Undoes that, also after a script was killed at any point of it. For a moment nothing is there; who starts again waits
# longer than that.
put_ours_in_place() {
    [ -e "$PROGRAM.ours" ] || return 0
    if [ "$PROGRAM" -ef "$PROGRAM.ours" ]; then
        rm -f "$PROGRAM.ours"
        return 0
    fi
    if [ ! -e "$PROGRAM.libvirt" ] && [ -e "$PROGRAM" ]; then
        mv -f "$PROGRAM" "$PROGRAM.libvirt"
    fi
    mv -f "$PROGRAM.ours" "$PROGRAM"
}
