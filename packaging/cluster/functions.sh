# shellcheck shell=sh
# Shared by the scripts of the link's packages and of the lock daemon's: the builds put this in place of their
# #CLUSTER# line.

# A file of the lock daemon's unit that is left behind where the host is in a cluster and the link goes, or a lock
# daemon comes that knows no clusters.
GUARD=/etc/systemd/system/virtlockd.service.d/deno-virtlockd-cluster.conf

# Whether this host is in a cluster, as far as its files tell.
is_member() {
    [ -e /run/libvirt/virtlockd-cluster.json ] ||
        grep -qs '^[[:space:]]*cluster_endpoints[[:space:]]*=' /etc/libvirt/virtlockd.conf
}

# The link goes also when a version of the lock daemon is put in place that knows no clusters. The daemon that
# runs does not hand over to it, but the next start would have it: that ignores the cluster's settings, and locks
# disks that other hosts use.
put_guard() {
    is_member || return 0
    mkdir -p "${GUARD%/*}" || return 0
    cat >"$GUARD" <<'END'
# Left when deno-virtlockd-cluster was removed, or an older deno-virtlockd was installed: this host was in a cluster. As
# long as it is, no virtlockd is started that knows nothing of clusters, for that would lock disks that other hosts use.
# This file goes when both packages are installed again, and may be deleted when the host has left its cluster.
[Service]
ExecStartPre=/bin/sh -c 'if ! test -e /run/libvirt/virtlockd-cluster.json && ! grep -qs "^[[:space:]]*cluster_endpoints[[:space:]]*=" /etc/libvirt/virtlockd.conf; then exit 0; fi; if /usr/sbin/virtlockd --help | grep -q "^  cluster "; then exit 0; fi; echo "This host is in a cluster, of which this virtlockd knows nothing: install deno-virtlockd and deno-virtlockd-cluster of the version that was here, or have the host leave first (cluster.md)" >&2; exit 1'
END
    systemctl --quiet daemon-reload || true
}

# dpkg puts an older version of the lock daemon in place without asking, and leaves the link where it is.
guard_against_older() {
    is_member || return 0
    if timeout --kill-after=5 20 /usr/sbin/virtlockd --help 2>/dev/null | grep -q '^  cluster '; then
        return 0
    fi
    put_guard
    echo "deno-virtlockd: This host is in a cluster, of which the version that is installed now knows nothing." >&2
    echo "deno-virtlockd: The daemon that runs goes on, and systemd starts no other one, until the version that was here is" >&2
    echo "deno-virtlockd: installed again. To leave the cluster, see 'Leave a cluster' in its cluster.md" >&2
}

# The link is there, or the host is in no cluster any more.
drop_guard() {
    [ -e "$GUARD" ] || return 0
    rm -f "$GUARD"
    rmdir "${GUARD%/*}" 2>/dev/null || true
}

# Says what it means that the link goes, where this host is in a cluster.
warn_member() {
    if is_member; then
        echo "deno-virtlockd-cluster: This host is in a cluster. From now on every lock of the cluster's is refused here:" >&2
        echo "deno-virtlockd-cluster: guests that run go on, and no guest with such a disk can start or resume." >&2
        echo "deno-virtlockd-cluster: What others may not have stays locked. To leave the cluster, see 'Leave a cluster' in" >&2
        echo "deno-virtlockd-cluster: /usr/share/doc/deno-virtlockd/cluster.md" >&2
    fi
}
