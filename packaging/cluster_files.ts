import { file, type PackageFile } from "./files.ts";

/** Units of the link with etcd, and of what fences other hosts. */
export const CLUSTER_UNITS = [
  "virtlockd-cluster.socket",
  "virtlockd-cluster@.service",
  "virtlockd-fence.socket",
  "virtlockd-fence@.service",
] as const;

/** Where certificates and the private key are put. The package has it, closed and empty. */
export const CERTIFICATES = "etc/libvirt/virtlockd-cluster";

/**
 * Every file of the package of the link with etcd but those that only its format knows. It has no runtime of
 * its own: that of the lock daemon's package, which it needs anyway, runs it.
 */
export function clusterFiles(executable: string): PackageFile[] {
  return [
    { ...file("usr/sbin/virtlockd-cluster", executable), mode: 0o755 },
    ...CLUSTER_UNITS.map((unit) => file(`usr/lib/systemd/system/${unit}`, `packaging/systemd/${unit}`)),
    { ...file("usr/share/man/man8/virtlockd-cluster.8.gz", "man/virtlockd-cluster.8"), gzip: true },
  ];
}
