import { bootId } from "../../os/host_facts.ts";
import type { EventSys, FileSys } from "../../os/sys.ts";
import type { JournalMemory } from "./journal_memory.ts";
import { STAMP_OFFSET } from "./layout.ts";

/** The time comes last, behind the boot's id: it is the word that makes a stamp valid. */
const BEGUN = 0;
const BOOT = 16;
const BOOT_BYTES = 16;

/** When a journal was last taken into use: by it the newer one of two is known, and one of another boot. */
export interface JournalStamp {
  /** Hexadecimal digits of the kernel's id of this boot; "" when it is not known. */
  readonly boot: string;
  /** CLOCK_MONOTONIC in milliseconds; 0 when it is not known, which is older than any other. */
  readonly begun: number;
}

/** The stamp of this moment. */
export function stampOfNow(
  sys: Pick<FileSys, "open" | "read" | "close"> & Pick<EventSys, "monotonic">,
): JournalStamp {
  const boot = bootId(sys).replace(/[^0-9a-f]/g, "");
  return { boot: boot.length === BOOT_BYTES * 2 ? boot : "", begun: sys.monotonic() };
}

/** The stamp of a journal. Layout 2 had none. */
export function readStamp({ bytes }: Pick<JournalMemory, "bytes">): JournalStamp {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const begun = view.getFloat64(STAMP_OFFSET + BEGUN, true);
  const boot = bytes.slice(STAMP_OFFSET + BOOT, STAMP_OFFSET + BOOT + BOOT_BYTES).toHex();
  return { boot: /[^0]/.test(boot) ? boot : "", begun };
}

/** Stamps a journal. A kill in between leaves it without a time. */
export function writeStamp(memory: JournalMemory, { boot, begun }: JournalStamp): void {
  memory.writeNumber(STAMP_OFFSET + BEGUN, 0);
  memory.writeBytes(STAMP_OFFSET + BOOT, Uint8Array.fromHex(boot.padStart(BOOT_BYTES * 2, "0")));
  memory.writeNumber(STAMP_OFFSET + BEGUN, begun);
}

/** Whether a journal was written before the host was started: all processes that it tells of have ended. */
export function isOfAnotherBoot(stamp: JournalStamp, now: JournalStamp): boolean {
  return stamp.boot !== "" && now.boot !== "" && stamp.boot !== now.boot;
}
