import { crc32 } from "./crc32.ts";
import type { JournalMemory } from "./journal_memory.ts";
import { ROOT_SLOTS } from "./layout.ts";

/** Where the log is. */
export interface Root {
  /**
   * Counts the logs of a journal; seeds the checksums, so that no record of an older log passes for one of
   * this.
   */
  readonly generation: number;
  /** Offset of its first record. */
  readonly base: number;
  /** Bytes of the snapshot with which it begins. */
  readonly snapshot: number;
}

const GENERATION = 0;
const BASE = 8;
const SNAPSHOT = 16;
const CHECKSUM = 24;

/**
 * Makes a new log the valid one, in one step: a kill before the last store leaves the old one valid.
 *
 * The slot of the log before the old one is overwritten; its checksum is destroyed first.
 */
export function writeRoot(memory: JournalMemory, root: Root): void {
  const at = ROOT_SLOTS[root.generation % 2] as number;
  memory.commitWord(at + CHECKSUM, 0);
  memory.writeNumber(at + GENERATION, root.generation);
  memory.writeNumber(at + BASE, root.base);
  memory.writeNumber(at + SNAPSHOT, root.snapshot);
  memory.commitWord(at + CHECKSUM, checksum(memory.bytes, at));
}

/**
 * The valid root with the highest generation; undefined when there is none.
 *
 * @param size of the journal, in bytes: a root whose snapshot does not end in it is not valid
 */
export function readRoot(bytes: Uint8Array, size: number): Root | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let best: Root | undefined;
  for (const at of ROOT_SLOTS) {
    if (view.getInt32(at + CHECKSUM, true) !== checksum(bytes, at)) continue;
    const root = {
      generation: view.getFloat64(at + GENERATION, true),
      base: view.getFloat64(at + BASE, true),
      snapshot: view.getFloat64(at + SNAPSHOT, true),
    };
    if (root.base + root.snapshot > size) continue;
    if (best === undefined || root.generation > best.generation) best = root;
  }
  return best;
}

/** Never 0, which marks a slot as invalid. */
function checksum(bytes: Uint8Array, at: number): number {
  return crc32(bytes, at, at + CHECKSUM, 1) || 1;
}
