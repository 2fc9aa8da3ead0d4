# shellcheck shell=sh
# Shared by the maintainer scripts: build_deb.ts puts this in place of their #FUNCTIONS# line, after hand_over.sh in
# place of #HAND_OVER#.

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
