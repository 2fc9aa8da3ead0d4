import type { Guest } from "./guest.ts";
import { Libvirt } from "./libvirt.ts";
import type { Machine } from "./nspawn.ts";

const ALPHA = { name: "alpha", uuid: "11111111-2222-3333-4444-555555555555" };
const BETA = { name: "beta", uuid: "66666666-7777-8888-9999-aaaaaaaaaaaa" };

/** Two guests of a machine, alpha and beta, with a disk each and one lease that both want. Neither runs. */
export interface Guests {
  libvirt: Libvirt;
  /** alpha's. */
  disk: string;
  /** File of the lease. */
  lease: string;
}

/** Makes libvirtd of a machine use virtlockd and defines the guests. */
export async function defineGuests(machine: Machine): Promise<Guests> {
  const libvirt = new Libvirt(machine, "/var/lib/guests");
  await libvirt.configure();
  await machine.sh("systemctl restart libvirtd.service");
  const lease = await libvirt.createLease("database");
  const guest = async (identity: Pick<Guest, "name" | "uuid">) => {
    const path = await libvirt.createDisk(`${identity.name}.qcow2`);
    await libvirt.define({ ...identity, disks: [{ path, format: "qcow2" }], leases: [lease] });
    return path;
  };
  const disk = await guest(ALPHA);
  await guest(BETA);
  return { libvirt, disk, lease: lease.path };
}

/** How our daemon refuses beta the lease while alpha runs. */
export const REFUSED_BY_ALPHA =
  /error: resource busy: Lockspace resource 'database' is locked by domain 'alpha' \(uuid 11111111-2222-3333-4444-555555555555, pid \d+\)/;
