# shellcheck shell=sh
# Shared by the scripts of the link's packages: build_cluster.ts puts this in place of their #CLUSTER# line.

# Says what it means that the link goes, where this host is in a cluster.
warn_member() {
    if [ -e /run/libvirt/virtlockd-cluster.json ] ||
        grep -qs '^[[:space:]]*cluster_endpoints[[:space:]]*=' /etc/libvirt/virtlockd.conf; then
        echo "deno-virtlockd-cluster: This host is in a cluster. From now on every lock of the cluster's is refused here:" >&2
        echo "deno-virtlockd-cluster: guests that run go on, and no guest with such a disk can start or resume." >&2
        echo "deno-virtlockd-cluster: What others may not have stays locked. To leave the cluster, see 'Leave a cluster' in" >&2
        echo "deno-virtlockd-cluster: /usr/share/doc/deno-virtlockd/cluster.md" >&2
    fi
}
