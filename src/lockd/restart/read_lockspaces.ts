import { type Holding, type Owner, unknownOwner } from "../lockspace/owner.ts";
import type { Regrant } from "../lockspace/resource.ts";
import { FLAG_AUTOCREATE, FLAG_SHARED, OWN_KEY } from "./document_format.ts";
import { type JsonObject, MAX_U32 } from "./json_object.ts";
import { inWords } from "./restart_state_error.ts";
import type { LockedResource, LockspaceState } from "./state.ts";

const NOT_HELD = "the daemon before did not hold its lock";

/** Who wrote a document, and so where the details of an owner are. */
export type Writer =
  /** Owners are pids; those that are connected are known by their connection. */
  | { kind: "libvirt"; clients: ReadonlyMap<number, Owner> }
  /** Every resource points into one table of owners. */
  | { kind: "own"; owners: readonly Owner[]; nextResourceId: number };

/** Lockspaces of a document, the default one first, and the id that the next resource gets. */
export function readLockspaces(
  document: JsonObject,
  writer: Writer,
): { lockspaces: LockspaceState[]; nextResourceId: number } {
  const reader = new LockspaceReader(writer);
  const lockspaces = [reader.read(document.object("defaultLockspace"), "")];
  const paths = new Set([""]);
  document.objects("lockspaces", (at) => {
    const path = at.string("directory", "a path");
    if (paths.has(path)) at.fail("directory", "a path that no other lockspace has");
    paths.add(path);
    lockspaces.push(reader.read(at, path));
  });
  return { lockspaces, nextResourceId: reader.nextResourceId };
}

type Details = Pick<LockedResource, "id" | "lock" | "holdings" | "doubtful" | "regrant">;

class LockspaceReader {
  readonly #writer: Writer;
  nextResourceId: number;

  constructor(writer: Writer) {
    this.#writer = writer;
    this.nextResourceId = writer.kind === "own" ? writer.nextResourceId : 1;
  }

  read(at: JsonObject, path: string): LockspaceState {
    const names = new Set<string>();
    const resources = at.objects("resources", (resource) => {
      const read = this.#resource(resource);
      if (names.has(read.name)) resource.fail("name", "a name that no other resource of the lockspace has");
      names.add(read.name);
      return read;
    });
    return { path, resources };
  }

  #resource(at: JsonObject): LockedResource {
    const flags = at.integer("flags", "flags", MAX_U32);
    return {
      name: at.string("name"),
      path: at.string("path"),
      fd: at.descriptor("fd"),
      shared: (flags & FLAG_SHARED) !== 0,
      autocreate: (flags & FLAG_AUTOCREATE) !== 0,
      ...this.#details(at, readPids(at), at.boolean("lockHeld") ? undefined : NOT_HELD),
    };
  }

  /** What libvirt's document does not tell, or tells only in part. */
  #details(at: JsonObject, pids: readonly number[], doubt: string | undefined): Details {
    if (this.#writer.kind === "libvirt") {
      const { clients } = this.#writer;
      const holdings = pids.map((pid) => ({ owner: clients.get(pid) ?? unknownOwner(pid), since: 0 }));
      const id = this.nextResourceId++;
      return doubt === undefined ? { id, holdings } : { id, holdings, doubtful: doubt };
    }
    const own = at.object(OWN_KEY);
    const id = own.integer("id", "a resource id");
    this.nextResourceId = Math.max(this.nextResourceId, id + 1);
    const lock = own.string("lock", "ofd or posix");
    if (lock !== "ofd" && lock !== "posix") return own.fail("lock", "ofd or posix");
    const holdings = readHoldings(own, pids, this.#writer.owners);
    const doubtful = own.has("doubtful") ? own.string("doubtful") : doubt;
    return {
      id,
      lock,
      holdings,
      ...(doubtful === undefined ? {} : { doubtful }),
      ...(own.has("awaited") ? { awaited: own.string("awaited") } : {}),
      ...readRegrant(own),
    };
  }
}

function readRegrant(own: JsonObject): { regrant?: Regrant } {
  if (!own.has("regrant")) return {};
  const regrant = own.string("regrant");
  // What a later version knows more of is only that its owner is refused what it has.
  return regrant === "half-failed" || regrant === "while-paused" ? { regrant } : {};
}

function readPids(at: JsonObject): number[] {
  const pids: number[] = [];
  for (const value of at.array("owners")) {
    const pid = pidOf(value);
    pids.push(pid ?? at.fail(`owners[${pids.length}]`, "a process id", inWords(value)));
  }
  return pids.length > 0 ? pids : at.fail("owners", "at least one owner", "an empty array");
}

/**
 * libvirt writes a pid of 2^31 and more as the 64 bits of a negative number, which a JavaScript number cannot
 * tell apart when near zero. No process has such a pid; a client that claims one must still find its lock
 * held.
 */
function pidOf(value: unknown): number | undefined {
  if (typeof value !== "number" || !Number.isInteger(value)) return undefined;
  const pid = value >= 2 ** 64 - 2 ** 31 ? Math.min(value - 2 ** 64 + 2 ** 32, MAX_U32) : value;
  return pid >= 0 && pid <= MAX_U32 ? pid : undefined;
}

function readHoldings(own: JsonObject, pids: readonly number[], table: readonly Owner[]): Holding[] {
  const owners = own.integers("owners", "an index of owners", table.length - 1);
  const since = own.integers("since", "Unix milliseconds");
  if (owners.length !== pids.length) failLength(own, "owners", pids.length, owners.length);
  if (since.length !== pids.length) failLength(own, "since", pids.length, since.length);
  const holdings: Holding[] = [];
  for (let index = 0; index < pids.length; index++) {
    const owner = table[owners[index] as number] as Owner;
    const pid = pids[index] as number;
    if (owner.pid !== pid) own.fail(`owners[${index}]`, `an owner with pid ${pid}`, `one with ${owner.pid}`);
    holdings.push({ owner, since: since[index] as number });
  }
  return holdings;
}

function failLength(own: JsonObject, key: string, wanted: number, found: number): never {
  own.fail(key, `one entry for each of ${wanted} owners`, String(found));
}
