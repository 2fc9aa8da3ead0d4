import type { LockDirectories } from "./lock_directories.ts";
import type { LockFiles } from "./lock_files.ts";
import { Lockspace } from "./lockspace.ts";
import type { Done, HeldReport, Refusal } from "./refusal.ts";
import type { Resource } from "./resource.ts";

/** What making and removing files works with. */
export interface ResourceFilesParts {
  readonly directories: Pick<LockDirectories, "get" | "misplaced" | "notToBeMade">;
  readonly files: Pick<LockFiles, "create" | "remove">;
  /** Who has a resource, for a refusal. */
  readonly report: (resource: Resource) => HeldReport;
}

/** Makes and removes the files of resources that nobody has. */
export class ResourceFiles {
  readonly #parts: ResourceFilesParts;

  constructor(parts: ResourceFilesParts) {
    this.#parts = parts;
  }

  /** CREATE_RESOURCE. */
  create(path: string, name: string, done: Done): void {
    const { directories, files } = this.#parts;
    const found = this.#unlocked(path, name);
    if (!(found instanceof Lockspace)) return done(found);
    const refusal = directories.misplaced(found) ?? directories.notToBeMade(found, name);
    if (refusal !== undefined) return done(refusal);
    files.create(found.fileOf(name), found.path === "", (failure) => done(failure));
  }

  /** DELETE_RESOURCE. */
  remove(path: string, name: string, done: Done): void {
    const found = this.#unlocked(path, name);
    if (!(found instanceof Lockspace)) return done(found);
    this.#parts.files.remove(found.fileOf(name), (failure) => done(failure));
  }

  /** The lockspace of a resource that is not locked, else why not. */
  #unlocked(path: string, name: string): Lockspace | Refusal {
    const lockspace = this.#parts.directories.get(path);
    if (lockspace === undefined) return { kind: "lockspace-missing", path };
    const bad = lockspace.badName(name);
    if (bad !== undefined) return { kind: "bad-name", resource: name, reason: bad };
    const resource = lockspace.resources.get(name);
    if (resource !== undefined) return { kind: "held", resource: name, held: this.#parts.report(resource) };
    const asker = lockspace.pending.get(name);
    if (asker !== undefined) return { kind: "pending", resource: name, owner: asker.name };
    return lockspace;
  }
}
