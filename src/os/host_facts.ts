import { readSmallFile } from "./read_file.ts";
import type { FileSys } from "./sys.ts";

/** Where the kernel tells its boot's id, another one with each start of a host (random(4)). */
export const BOOT_ID = "/proc/sys/kernel/random/boot_id";
const HOST_NAME = "/proc/sys/kernel/hostname";

type ReadSys = Pick<FileSys, "open" | "read" | "close">;

/** The id of this boot; "" when it cannot be read. */
export function bootId(sys: ReadSys): string {
  return readSmallFile(sys, BOOT_ID)?.trim() ?? "";
}

/** What the host calls itself; "" when it has no name, or that cannot be read. */
export function hostName(sys: ReadSys): string {
  return readSmallFile(sys, HOST_NAME)?.trim() ?? "";
}
