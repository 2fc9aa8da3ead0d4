import { ConfigError } from "../../chassis/config/config_error.ts";
import type { CommandContext } from "../../chassis/cli/command.ts";
import type { LockEntry } from "../status/status_document.ts";
import { DiskNames } from "./guests/disk_names.ts";
import { Host } from "./guests/host.ts";
import { libvirtPlaces } from "./guests/libvirt_places.ts";
import type { ListedLock } from "./shown/listed_lock.ts";

/** Names the disks of locks; without a home there are no guests of this user's that could tell. */
export function diskNaming(
  { sys, env }: Pick<CommandContext, "sys" | "env">,
): (locks: readonly LockEntry[]) => readonly ListedLock[] {
  try {
    const names = new DiskNames(new Host(sys, "", libvirtPlaces(sys.uid(), env, () => false)));
    return (locks) => names.name(locks);
  } catch (error) {
    if (error instanceof ConfigError) return (locks) => locks;
    throw error;
  }
}
