import type { ClusterHosts, End } from "./cluster_hosts.ts";

const DISKS = 10;

/** Name and UUID of a guest. */
export interface GuestIdentity {
  readonly name: string;
  readonly uuid: string;
}

/** Guests of the tests of clusters. */
export const ALPHA: GuestIdentity = { name: "alpha", uuid: "11111111-2222-3333-4444-555555555555" };
export const BETA: GuestIdentity = { name: "beta", uuid: "66666666-7777-8888-9999-aaaaaaaaaaaa" };
export const GAMMA: GuestIdentity = { name: "gamma", uuid: "bbbbbbbb-cccc-4ddd-8eee-ffffffffffff" };

/** The name of a lease: QEMU locks images itself, so what only the cluster can refuse is a lease. */
export const LEASE = "database";
/** How many locks {@link defineTenDisks} gives to a guest that has the lease. */
export const LOCKS = DISKS + 1;

/**
 * Defines a guest of ten disks on a host.
 *
 * @returns paths of its disks
 */
export async function defineTenDisks(
  hosts: ClusterHosts,
  end: End,
  guest: GuestIdentity,
  { leased }: {
    /** Whether it has the lease too. */
    readonly leased: boolean;
  },
): Promise<readonly string[]> {
  const libvirt = hosts.libvirt(end);
  const paths: string[] = [];
  for (let number = 0; number < DISKS; number++) {
    paths.push(await libvirt.createDisk(`${guest.name}${number}.qcow2`));
  }
  const disks = paths.map((path) => ({ path, format: "qcow2" }) as const);
  const leases = leased ? [await libvirt.createLease(LEASE)] : [];
  await libvirt.define({ ...guest, disks, leases });
  return paths;
}

/** Defines a guest of one disk that wants the lease, on a host. */
export async function defineRival(hosts: ClusterHosts, end: End, guest: GuestIdentity): Promise<void> {
  const libvirt = hosts.libvirt(end);
  const path = await libvirt.createDisk(`${guest.name}.qcow2`);
  const leases = [await libvirt.createLease(LEASE)];
  await libvirt.define({ ...guest, disks: [{ path, format: "qcow2" }], leases });
}
