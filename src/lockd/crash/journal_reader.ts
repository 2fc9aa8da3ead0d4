import { type InFlight, inFlight } from "../../chassis/journal/in_flight.ts";
import type { SharedMemory } from "../../chassis/journal/journal_memory.ts";
import { type JournalStamp, readStamp } from "../../chassis/journal/journal_stamp.ts";
import { EXCHANGE_OFFSET } from "../../chassis/journal/layout.ts";
import { readExchange } from "../../chassis/rpc/counted_exchange.ts";
import { isUnfinished } from "../../chassis/journal/unfinished.ts";
import { type FoundLog, readLog } from "../journal/lock_format.ts";
import type { Recovered, ReturnedDescriptor } from "../journal/recovered.ts";
import { recover } from "../journal/recovery.ts";
import { readMounts } from "../storage/mount_table.ts";
import type { MountTree } from "../storage/mount_tree.ts";
import { placeOf } from "../storage/placement.ts";
import type { JournalSources } from "./opened_journal.ts";

/** What is in a journal. */
export interface Contents extends Omit<FoundLog, "log"> {
  readonly bytes: InFlight;
  readonly stamp: JournalStamp;
}

/** Reads what an earlier life has left in a journal, and recovers it. */
export class JournalReader {
  readonly #sources: Pick<JournalSources, "sys" | "log">;
  #tree: MountTree | undefined;

  constructor(sources: Pick<JournalSources, "sys" | "log">) {
    this.#sources = sources;
  }

  /**
   * Reads a journal. Why it cannot be read is said.
   *
   * @param path of its file; undefined: it came from elsewhere
   * @returns undefined when nothing can have been recorded in it, or it cannot be read
   */
  read(memory: SharedMemory, path?: string): FoundLog | undefined {
    const { log } = this.#sources;
    const what = path === undefined ? "The journal" : `The journal ${path}`;
    if (memory.size === 0) return undefined;
    const read = readLog(memory);
    if (typeof read !== "string") return read;
    if (isUnfinished(memory)) {
      log.info(
        `${what} that an earlier daemon has left is the beginning of one that was never finished: nothing was recorded in it`,
      );
    } else log.error(`${what} that an earlier daemon has left cannot be read: ${read}`);
    return undefined;
  }

  /** What is in a journal besides its log. That it is damaged is said. */
  contents(memory: SharedMemory, { state, damage }: Omit<FoundLog, "log">): Contents {
    if (damage !== undefined) this.#sources.log.error(`The journal is damaged: ${damage}`);
    const bytes = inFlight(state.bytes, readExchange(memory.bytes, EXCHANGE_OFFSET));
    return { state, damage, bytes, stamp: readStamp(memory) };
  }

  /** @param descriptors what the store gave back; taken */
  recover(
    { state, damage, bytes }: Omit<Contents, "stamp">,
    descriptors: readonly ReturnedDescriptor[],
  ): Recovered {
    const { sys } = this.#sources;
    return recover({
      sys,
      state,
      inFlight: bytes,
      descriptors,
      mayHang: (path) => placeOf(sys, this.#mounts(), path) !== undefined,
      damaged: damage !== undefined,
      now: Date.now(),
    });
  }

  /** Read when a path is first asked for: most lives leave nothing to be taken again. */
  #mounts(): MountTree {
    this.#tree ??= readMounts(this.#sources.sys);
    return this.#tree;
  }
}
