import type { FencingWish } from "../cluster/fencing/fencing_wishes.ts";
import type { UngrantedTry } from "../cluster/locks/ungranted_tries.ts";
import type { DyingHolder } from "../lockspace/holder_reaper.ts";
import type { Owner, OwnerKey } from "../lockspace/owner.ts";
import type { ParkedLock } from "../lockspace/parked_locks.ts";
import type { Sight } from "../lockspace/written_files.ts";
import type { OwnerProcess } from "../lockspace/owner_watch.ts";
import { FORMAT_VERSION } from "./document_format.ts";
import { type JsonObject, MAX_U32 } from "./json_object.ts";
import { readOwnerPlace, readUuid } from "./read_servers.ts";
import type { DaemonExtension, EndedOwnerState, JsonValue, RuntimeSettings } from "./state.ts";

/** Our own part of a document. */
export interface OwnPart {
  readonly extension: DaemonExtension;
  /** Owners of all resources, which point here. */
  readonly owners: readonly Owner[];
  readonly nextResourceId: number;
}

/** Reads our own part of a document. */
export function readExtension(at: JsonObject): OwnPart {
  at.integer("version", `a format version from 1 to ${FORMAT_VERSION}`, FORMAT_VERSION, 1);
  return {
    owners: at.objects("owners", readOwner),
    nextResourceId: at.integer("nextResourceId", "a resource id"),
    extension: {
      dying: at.objects("dying", readDying),
      ...(at.has("watched") ? { watched: at.objects("watched", readProcess) } : {}),
      ...(at.has("released") ? { released: at.objects("released", readParked) } : {}),
      ...(at.has("ended") ? { ended: at.objects("ended", readEnded) } : {}),
      ...(at.has("fencing") ? { fencing: readFencing(at.object("fencing")) } : {}),
      parked: at.descriptors("parked"),
      kept: at.objects("kept", (kept) => ({
        purpose: kept.string("purpose"),
        fd: kept.descriptor("fd"),
      })),
      settings: readSettings(at.object("settings")),
      cwd: at.string("cwd", "a path"),
      statistics: readJson(at, "statistics"),
      ...(at.has("lineage") ? { lineage: at.string("lineage", "a lineage's id") } : {}),
      ...(at.has("tries") ? { tries: at.objects("tries", readTry) } : {}),
      journal: readJson(at, "journal"),
      notify: readJson(at, "notify"),
    },
  };
}

function readOwner(at: JsonObject): Owner {
  return {
    pid: at.integer("pid", "a process id", MAX_U32),
    name: at.string("name"),
    uuid: readUuid(at, "uuid"),
    id: at.integer("id", "a domain id", MAX_U32),
    ...readOwnerPlace(at),
  };
}

function readProcess(at: JsonObject): OwnerProcess {
  return {
    key: readKey(at),
    pid: at.integer("pid", "a process id", MAX_U32),
    start: at.integer("start", "clock ticks"),
    pidfd: at.descriptor("pidfd"),
  };
}

function readParked(at: JsonObject): ParkedLock {
  const parked = {
    lockspace: at.string("lockspace"),
    name: at.string("name"),
    path: at.string("path"),
    owner: readOwner(at.object("owner")),
  };
  if (!at.has("use")) return { ...parked, use: undefined };
  const use = at.object("use");
  return {
    ...parked,
    use: { owner: readOwner(use.object("owner")), since: use.integer("since", "Unix milliseconds") },
  };
}

/** That of most owners is their pid. */
function readKey(at: JsonObject): OwnerKey {
  if (typeof at.value("key") === "string") return at.string("key");
  return at.integer(at.has("key") ? "key" : "pid", "the key of an owner", MAX_U32);
}

function readEnded(at: JsonObject): EndedOwnerState {
  const owner = { key: readKey(at), pid: at.integer("pid", "a process id", MAX_U32) };
  return at.has("sight") ? { ...owner, sight: readSight(at.object("sight")) } : owner;
}

function readSight(at: JsonObject): Sight {
  return {
    qemu: at.boolean("qemu"),
    files: at.objects("files", (file) => ({
      path: file.string("path"),
      ...(file.has("guard") ? { guard: file.string("guard") } : {}),
    })),
    ...(at.has("partial") ? { partial: true } : {}),
  };
}

function readDying(at: JsonObject): DyingHolder {
  return {
    key: readKey(at),
    pid: at.integer("pid", "a process id", MAX_U32),
    pidfd: at.descriptor("pidfd"),
    since: at.integer("since", "Unix milliseconds"),
    killed: at.boolean("killed"),
  };
}

function readTry(at: JsonObject): UngrantedTry {
  return {
    value: at.string("value"),
    changed: at.objects("changed", (mark) => ({
      key: mark.string("key"),
      before: mark.string("before"),
      after: mark.string("after"),
    })),
  };
}

function readFencing(at: JsonObject): NonNullable<DaemonExtension["fencing"]> {
  return { cluster: at.string("cluster", "a cluster's name"), hosts: at.objects("hosts", readWish) };
}

function readWish(at: JsonObject): FencingWish {
  return {
    session: at.string("session", "a session's id"),
    name: at.string("name", "a host's name"),
    since: at.integer("since", "Unix milliseconds"),
    reason: at.string("reason"),
    failures: at.integer("failures", "a count"),
    asked: at.integer("asked", "monotonic milliseconds"),
  };
}

function readSettings(at: JsonObject): RuntimeSettings {
  return {
    ...(at.has("logOutputs") ? { logOutputs: at.string("logOutputs") } : {}),
    ...(at.has("logFilters") ? { logFilters: at.string("logFilters") } : {}),
    ...(at.has("timeout") ? { timeout: at.integer("timeout", "seconds", MAX_U32) } : {}),
  };
}

/** A value that is its writer's own business; it must be there. */
function readJson(at: JsonObject, key: string): JsonValue {
  return at.has(key) ? at.value(key) as JsonValue : at.fail(key, "a value");
}
