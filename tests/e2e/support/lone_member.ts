import type { Libvirt } from "./libvirt.ts";
import { untilMember } from "./lock_service.ts";
import type { Machine } from "./nspawn.ts";
import { clusterPackage, debianPackage, install } from "./packages.ts";
import { TlsEtcd } from "./tls_etcd.ts";

/** Prefix of the cluster. */
export const PREFIX = "/virtlockd/prod/";
const CERTIFICATES = "/etc/libvirt/virtlockd-cluster";

/** File of a certificate or a key of the host, by its name. */
export function certificate(name: string): string {
  return `${CERTIFICATES}/${name}.pem`;
}

/**
 * Makes a machine the only host, `kvm1`, of a cluster, with our packages and an etcd in it. The leases of its
 * guests are the cluster's.
 *
 * @param settings more lines of virtlockd.conf
 * @returns its etcd
 */
export async function makeLoneMember(machine: Machine, libvirt: Libvirt, settings = ""): Promise<TlsEtcd> {
  await install(machine, await debianPackage());
  await install(machine, await clusterPackage());
  const etcd = await TlsEtcd.start(machine, "kvm1", PREFIX);
  await libvirt.configure();
  // From inside a container it cannot be seen who else writes to a disk.
  const lines = `settle_timeout = 1
cluster_endpoints = [ "${etcd.url}" ]
cluster_name = "prod"
cluster_host_id = "kvm1"
cluster_lockspaces = [ "leases=${libvirt.leaseLockspace}" ]
cluster_ca_file = "${certificate("ca")}"
cluster_cert_file = "${certificate("kvm1")}"
cluster_key_file = "${certificate("kvm1-key")}"
${settings}`;
  await machine.sh("cat >/etc/libvirt/virtlockd.conf", { input: lines });
  await machine.sh(`
    for name in ca kvm1 kvm1-key; do install -m 0600 /root/etcd/$name.pem ${CERTIFICATES}/; done
    systemctl restart libvirtd.service
    systemctl start virtlockd; virtlockd reload
    virtlockd cluster open --expect kvm1
  `);
  await untilMember(machine);
  return etcd;
}
