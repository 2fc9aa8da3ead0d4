import { O_CLOEXEC, O_NOFOLLOW, O_RDONLY } from "../../os/constants.ts";
import type { FileSys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { decodeText, encodeText } from "../../os/text.ts";
import type { LockTable } from "../lockspace/lock_table.ts";
import { processState } from "../../os/process_state.ts";
import { StateFile } from "../restart/state_file.ts";
import { staysInCluster } from "./stays_in_cluster.ts";

/** Longer notes are not read: ten thousand guests fit. */
const MAX_SIZE = 4 * 1024 * 1024;

/** A guest whose locks were given up. */
export interface UnlockedGuest {
  readonly name: string;
  readonly pid: number;
}

/** What a daemon that was stopped has given up. */
export interface GivenUpLocks {
  /** Unix milliseconds of the stop. */
  readonly at: number;
  readonly locks: number;
  /** Locks beside these that etcd has kept for this host. */
  readonly kept: number;
  /** Those that still run, and do so without their locks. */
  readonly running: readonly UnlockedGuest[];
}

/** A guest in the note: with its start time its process is known for ever. */
interface NotedGuest extends UnlockedGuest {
  readonly start: number;
}

/**
 * A note of a daemon that was stopped while guests ran, for the next one: nothing else would tell anybody
 * then that they run without their locks.
 */
export class GivenUp {
  readonly #sys: FileSys;
  readonly #path: string;

  /** @param path of the note's file */
  constructor(sys: FileSys, path: string) {
    this.#sys = sys;
    this.#path = path;
  }

  /**
   * Writes the note, if there is anything to say.
   *
   * @param at Unix milliseconds
   * @param stays whether the lock of a file is not given up, because etcd keeps it
   * @throws SystemError when it cannot be written
   */
  save(table: Pick<LockTable, "resources">, at: number, stays: (path: string) => boolean): void {
    const guests = new Map<string, NotedGuest>();
    let [locks, kept] = [0, 0];
    for (const { path, holdings } of table.resources()) {
      if (stays(path)) {
        kept++;
        continue;
      }
      locks++;
      for (const { owner: { name, uuid, pid: named, namespace, hostPid } } of holdings) {
        // Of another pid namespace's process only the daemon's own number for it says anything here.
        const pid = hostPid ?? (namespace === undefined ? named : 0);
        const known = guests.get(`${uuid} ${pid}`);
        if (known !== undefined) continue;
        guests.set(`${uuid} ${pid}`, { name, pid, start: processState(this.#sys, pid)?.startTime ?? 0 });
      }
    }
    if (locks + kept === 0) return;
    const text = JSON.stringify({ at, locks, kept, guests: [...guests.values()] });
    new StateFile(this.#sys, this.#path).saveAs(this.#path, encodeText(`${text}\n`));
  }

  /** Reads the note of the last daemon, once. One that cannot be read says nothing. */
  take(): GivenUpLocks | undefined {
    const text = this.#read();
    if (text === undefined) return undefined;
    this.#sys.unlink(this.#path);
    const note = parse(text);
    if (note === undefined) return undefined;
    const { at, locks, kept, guests } = note;
    const running = guests.filter(({ pid, start }) => {
      const state = pid === 0 ? undefined : processState(this.#sys, pid);
      return state !== undefined && !state.exiting && state.startTime === start;
    });
    return { at, locks, kept, running: running.map(({ name, pid }) => ({ name, pid })) };
  }

  #read(): string | undefined {
    const fd = this.#sys.open(this.#path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
    if (fd < 0) return undefined;
    const bytes = new Uint8Array(MAX_SIZE);
    let length = 0;
    for (;;) {
      const count = this.#sys.read(fd, bytes.subarray(length));
      if (count <= 0) break;
      length += count;
    }
    this.#sys.close(fd);
    return decodeText(bytes, 0, length);
  }
}

/** Notes what is given up; a daemon that ends is not kept by a note that cannot be written. */
export function noteGivenUp(
  note: Pick<GivenUp, "save">,
  daemon: Parameters<typeof staysInCluster>[0] & {
    readonly table: Pick<LockTable, "resources">;
    readonly log: { warn(message: string): void };
  },
  at: number,
): void {
  try {
    note.save(daemon.table, at, (path) => staysInCluster(daemon, path));
  } catch (error) {
    if (!(error instanceof SystemError)) throw error;
    daemon.log.warn(`The next daemon will not know which guests run without their locks: ${error.message}`);
  }
}

function parse(text: string): Omit<GivenUpLocks, "running"> & { guests: NotedGuest[] } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  if (!("at" in value && "locks" in value && "guests" in value)) return undefined;
  const { at, locks, guests } = value;
  if (typeof at !== "number" || typeof locks !== "number" || !Array.isArray(guests)) return undefined;
  // An earlier version's note knows of no cluster.
  const kept = "kept" in value && typeof value.kept === "number" ? value.kept : 0;
  return { at, locks, kept, guests: guests.flatMap((guest) => isNoted(guest) ? [guest] : []) };
}

function isNoted(guest: unknown): guest is NotedGuest {
  return typeof guest === "object" && guest !== null && "name" in guest && typeof guest.name === "string" &&
    "pid" in guest && typeof guest.pid === "number" && "start" in guest && typeof guest.start === "number";
}
