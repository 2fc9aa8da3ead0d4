import type { JournalFile } from "../../chassis/journal/journal_file.ts";
import { SharedMemory } from "../../chassis/journal/journal_memory.ts";
import {
  isOfAnotherBoot,
  type JournalStamp,
  readStamp,
  stampOfNow,
} from "../../chassis/journal/journal_stamp.ts";
import { ESRCH } from "../../os/errno.ts";
import { SystemError } from "../../os/system_error.ts";
import type { OwnerRecord } from "../journal/journaled_lock.ts";
import { joinRecovered, leaveOut } from "../journal/joined_recovery.ts";
import { readProcess } from "../../os/process_state.ts";
import { readCarried, withoutLineage } from "../restart/recovered_state.ts";
import type { Contents, JournalReader } from "./journal_reader.ts";
import type { JournalSources, OpenedJournal } from "./opened_journal.ts";

/** What there is to join a left journal from. */
export interface LeftSources extends Pick<JournalSources, "sys" | "log"> {
  readonly reader: JournalReader;
}

/**
 * Adds what another daemon has left in the place of the file, if nothing newer is known: somebody may have
 * started one without a store while the service was down.
 *
 * @param file that other journal, which is to be discarded when everything is in the store
 */
export function withLeftJournal(
  { sys, log, reader }: LeftSources,
  opened: OpenedJournal,
  file: JournalFile,
): OpenedJournal {
  const withFile = { ...opened, left: file };
  const contents = contentsOf({ sys, log, reader }, file);
  // Two daemons have gone on, of which neither knew the other one's locks.
  if (contents === undefined) return { ...withFile, carried: withoutLineage(opened.carried) };
  const isVoid = isOfAnotherBoot(contents.stamp, stampOfNow(sys))
    ? "is of an earlier boot of this host"
    : isOlder(contents.stamp, opened)
    ? "is older than the one in the store"
    : undefined;
  if (isVoid !== undefined) {
    log.info(`The journal ${file.path} ${isVoid}: it is void`);
    return withFile;
  }
  const { state } = contents;
  if (opened.recovered !== undefined) leaveOut(state, opened.recovered, (owner) => mayLive(sys, owner));
  // Of descriptors it knows nothing.
  const second = reader.recover(contents, []);
  const recovered = opened.recovered === undefined ? second : joinRecovered(opened.recovered, second);
  const carried = opened.recovered === undefined ? readCarried(state.carried) : opened.carried;
  return { ...withFile, recovered, carried: withoutLineage(carried) };
}

/** What is in it; undefined when that is nothing, or cannot be read, which is said. */
function contentsOf({ sys, log, reader }: LeftSources, file: JournalFile): Contents | undefined {
  let memory: SharedMemory;
  try {
    memory = new SharedMemory(sys, file.fd);
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    log.error(`The journal ${file.path} that an earlier daemon has left cannot be read: ${error.message}`);
    return undefined;
  }
  const read = reader.read(memory, file.path);
  return read === undefined ? undefined : reader.contents(memory, read);
}

/** Whether the journal in the store has something to say, and was in use later. */
function isOlder({ begun }: JournalStamp, { recovered, memory }: OpenedJournal): boolean {
  return recovered !== undefined && begun <= readStamp(memory).begun;
}

/** Whether it is not certain that an owner's process has ended. */
function mayLive(sys: JournalSources["sys"], { pid, hostPid = pid, start }: OwnerRecord): boolean {
  if (start === 0) return true;
  const state = readProcess(sys, hostPid);
  return typeof state === "number" ? state !== -ESRCH : state.startTime === start;
}
