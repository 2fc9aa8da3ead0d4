import { handedDescriptor, type HandedHandle, type HandedLock, HELD } from "../lockspace/lock_record.ts";
import type { LockState, Regrant } from "../lockspace/lock_record.ts";
import type { LockKind } from "../lockspace/lock_file.ts";
import { type Holding, type Owner, unknownOwner } from "../lockspace/owner.ts";
import { FLAG_AUTOCREATE, FLAG_SHARED, OWN_KEY, ownField } from "./document_format.ts";
import { type JsonObject, MAX_U32 } from "./json_object.ts";
import type { OwnerTable } from "./owner_table.ts";
import { inWords } from "../../base/in_words.ts";

const NOT_HELD = "the daemon before did not hold its lock";

/** Who wrote a document, and so where the details of an owner are. */
export type Writer =
  /** Owners are pids; those that are connected are known by their connection. */
  | { kind: "libvirt"; clients: ReadonlyMap<number, Owner> }
  /** Every resource points into one table of owners. */
  | { kind: "own"; owners: readonly Owner[]; nextResourceId: number };

/**
 * A lock as a resource of the document.
 *
 * @param owners where its owners are written; undefined in a document for libvirt's daemon
 * @throws Error when how its lock is held is not known, and has to be told
 */
export function lockJson({ record, handle }: HandedLock, owners: OwnerTable | undefined): string {
  const { name, path, shared, autocreate, holdings } = record;
  const flags = (shared ? FLAG_SHARED : 0) | (autocreate ? FLAG_AUTOCREATE : 0);
  const pids = holdings.map(({ owner }) => owner.pid);
  return `{"name":${JSON.stringify(name)},"path":${JSON.stringify(path)},"fd":${handedDescriptor(handle)}` +
    `,"lockHeld":true,"flags":${flags},"owners":[${pids.join(",")}]${
      owners === undefined ? "" : ownField(ownJson({ record, handle }, owners))
    }}`;
}

function ownJson({ record, handle }: HandedLock, owners: OwnerTable): string {
  const { id, path, holdings, state, regrant } = record;
  if (handle.kind === "file" && handle.lock === "unasked") {
    throw new Error(`Write resource ${path}: how its lock is held is not known, wanted ofd or posix`);
  }
  const lock: LockKind = handle.kind === "file" && handle.lock === "posix" ? "posix" : "ofd";
  const indices = holdings.map(({ owner }) => owners.indexOf(owner));
  const since = holdings.map((holding) => holding.since);
  return `{"id":${id},"lock":"${lock}","owners":[${indices.join(",")}],"since":[${since.join(",")}]${
    stateJson(state, handle)
  }${regrant === undefined ? "" : regrantJson(regrant)}}`;
}

/** A version that knows no parked locks gives one to its owner again, and to nobody else. */
function regrantJson(regrant: Regrant): string {
  return regrant === "parked" ? ',"regrant":"half-failed","parked":true' : `,"regrant":"${regrant}"`;
}

/** Versions that do not know of lost locks take them for doubtful ones, which they may not give to others. */
function stateJson(state: LockState, handle: HandedHandle): string {
  switch (state.kind) {
    case "held":
    case "releasing":
      return "";
    case "doubtful":
    case "awaited":
      return `,"${state.kind}":${JSON.stringify(state.reason)}`;
    case "lost":
      return `,"doubtful":${JSON.stringify(state.reason)},"lost":"${handle.kind}"`;
  }
}

/** Reads the locks of one document. */
export class LockReader {
  readonly #writer: Writer;
  /** Id of the next lock, above all that were read. */
  nextId: number;

  constructor(writer: Writer) {
    this.#writer = writer;
    this.nextId = writer.kind === "own" ? writer.nextResourceId : 1;
  }

  /** What {@link lockJson} or libvirt's daemon has written. @throws RestartStateError */
  read(at: JsonObject, lockspace: string): HandedLock {
    const flags = at.integer("flags", "flags", MAX_U32);
    const file = {
      lockspace,
      name: at.string("name"),
      path: at.string("path"),
      shared: (flags & FLAG_SHARED) !== 0,
      autocreate: (flags & FLAG_AUTOCREATE) !== 0,
    };
    const fd = at.descriptor("fd");
    const pids = readPids(at);
    const doubt = at.boolean("lockHeld") ? undefined : NOT_HELD;
    if (this.#writer.kind === "libvirt") {
      const { clients } = this.#writer;
      const holdings = pids.map((pid) => ({ owner: clients.get(pid) ?? unknownOwner(pid), since: 0 }));
      const state: LockState = doubt === undefined ? HELD : { kind: "doubtful", reason: doubt };
      const record = { ...file, id: this.nextId++, holdings, state };
      return { record, handle: { kind: "file", fd, lock: "unasked" } };
    }
    const own = at.object(OWN_KEY);
    const id = own.integer("id", "a resource id");
    this.nextId = Math.max(this.nextId, id + 1);
    const lock = own.string("lock", "ofd or posix");
    if (lock !== "ofd" && lock !== "posix") return own.fail("lock", "ofd or posix");
    const holdings = readHoldings(own, pids, this.#writer.owners);
    const state = readLockState(own, doubt);
    const record = { ...file, id, holdings, state, ...readRegrant(own) };
    const open = state.kind !== "awaited" && !(state.kind === "lost" && own.value("lost") === "none");
    return { record, handle: open ? { kind: "file", fd, lock } : { kind: "none", place: fd } };
  }
}

function readLockState(own: JsonObject, doubt: string | undefined): LockState {
  if (own.has("awaited")) return { kind: "awaited", reason: own.string("awaited") };
  const reason = own.has("doubtful") ? own.string("doubtful") : doubt;
  if (reason === undefined) return HELD;
  return { kind: own.has("lost") ? "lost" : "doubtful", reason };
}

function readRegrant(own: JsonObject): { regrant?: Regrant } {
  if (!own.has("regrant")) return {};
  if (own.has("parked")) return { regrant: "parked" };
  const regrant = own.string("regrant");
  // What a later version knows more of is only that its owner is refused what it has.
  return regrant === "half-failed" || regrant === "while-paused" || regrant === "leaving" ? { regrant } : {};
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
