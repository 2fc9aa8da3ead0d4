// What this host has to have of systemd's for a cluster, as messages name it.

/** What to do where nobody listens for those who want a link with etcd. */
export const LINK_INSTALL =
  "install deno-virtlockd-cluster, and systemctl enable --now virtlockd-cluster.socket";
/** The same for those who have a host fenced; that socket comes with the one above. */
export const FENCE_INSTALL = "install deno-virtlockd-cluster, and systemctl start virtlockd-fence.socket";
/** Where it stands what the processes of these sockets have said. */
export const LINK_LOG = "journalctl --unit='virtlockd-cluster@*'";
export const FENCE_LOG = "journalctl --unit='virtlockd-fence@*'";
