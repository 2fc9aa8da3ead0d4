import { type Domain, readDomain } from "./domain.ts";
import type { Host } from "./host.ts";
import { StoragePools } from "./storage_pools.ts";
import { childOf } from "./xml.ts";
import { readXml } from "./xml_file.ts";

/** A guest that runs, with what it uses now. */
export interface RunningGuest extends Domain {
  readonly pid: number;
  /**
   * Whether libvirt holds its locks: it gives them up whenever it stops the guest's processors, e.g. to
   * suspend, save or dump it, at the end of a migration, or after a panic.
   */
  readonly lockable: boolean;
}

/** What runs on a host. */
export interface RunningGuests {
  /** By name. */
  readonly guests: readonly RunningGuest[];
  /** Why nothing is known of a guest, one sentence for each. */
  readonly unknown: readonly string[];
}

/** Names that libvirt gives the states in which a guest's processors may run. */
const ACTIVE: readonly string[] = ["running", "blocked", "pmsuspended"];

/**
 * The guests of this libvirt that run. What they use is in libvirt's live state, which follows each disk that
 * is attached, detached, copied or snapshot; QEMU's command line tells only how it began. Guests of another
 * libvirt, e.g. of a user's session, have their state elsewhere.
 */
export function readRunningGuests(host: Host): RunningGuests {
  const directory = host.places.guests;
  const guests: RunningGuest[] = [];
  const unknown: string[] = [];
  const pools = StoragePools.read(host);
  for (const name of host.list(directory).filter((file) => file.endsWith(".xml"))) {
    const path = `${directory}/${name}`;
    const root = readXml(host, path);
    if (typeof root === "string") {
      // It may have ended since the directory was read.
      if (host.kind(path) !== undefined) unknown.push(root);
      continue;
    }
    const domain = childOf(root, "domain");
    if (root.name !== "domstatus" || domain === undefined) continue;
    const guest = readDomain(domain, pools);
    const pid = Number(root.attributes.get("pid"));
    // Where libvirtd does not run, the state of a guest that has ended stays.
    if (!isQemuOf(host, pid, guest.uuid)) continue;
    guests.push({ ...guest, pid, lockable: ACTIVE.includes(root.attributes.get("state") ?? "") });
  }
  return { guests, unknown };
}

function isQemuOf(host: Host, pid: number, uuid: string): boolean {
  const argv = host.read(`/proc/${pid}/cmdline`)?.split("\0") ?? [];
  return argv.some((word, index) => word === "-uuid" && argv[index + 1] === uuid);
}
