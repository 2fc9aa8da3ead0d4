import { invariant } from "../../base/invariant.ts";
import { type FileIdentity, sameFile } from "./file_identity.ts";
import type { LockDirectories } from "./lock_directories.ts";
import type { Lockspace } from "./lockspace.ts";
import { OwnedResources } from "./owned_resources.ts";
import type { PosixGuard } from "./posix_guard.ts";
import type { Resource } from "./resource.ts";

/** Every locked resource: by its name in its lockspace, by its owners, and how many there are. */
export class HeldResources {
  readonly #directories: Pick<LockDirectories, "all" | "get">;
  readonly #guard: Pick<PosixGuard, "protect">;
  /** The same by owner. */
  readonly owned = new OwnedResources();
  #count = 0;
  #nextId = 1;

  constructor(directories: Pick<LockDirectories, "all" | "get">, guard: Pick<PosixGuard, "protect">) {
    this.#directories = directories;
    this.#guard = guard;
  }

  get count(): number {
    return this.#count;
  }

  /** Id the next resource will get; kept over re-exec and crash. It only ever grows. */
  get nextId(): number {
    return this.#nextId;
  }

  set nextId(id: number) {
    invariant(Number.isSafeInteger(id), `${id} is no id of a resource`);
    this.#nextId = Math.max(this.#nextId, id);
  }

  /** An id that no resource had. */
  newId(): number {
    return this.#nextId++;
  }

  *all(): Generator<Resource> {
    for (const lockspace of this.#directories.all.values()) yield* lockspace.resources.values();
  }

  find(path: string, name: string): Resource | undefined {
    return this.#directories.get(path)?.resources.get(name);
  }

  /** The resource, if any, whose file this is. */
  findByFile(identity: FileIdentity): Resource | undefined {
    for (const resource of this.all()) {
      const { handle } = resource;
      if (handle.kind === "file" && sameFile(handle.identity, identity)) return resource;
    }
    return undefined;
  }

  has(resource: Resource): boolean {
    return this.find(resource.lockspace, resource.name) === resource;
  }

  insert(lockspace: Lockspace, resource: Resource): void {
    const { name, handle, holdings, id, shared } = resource;
    // On the way of each request: texts without names cost nothing.
    invariant(lockspace.path === resource.lockspace, "A resource is put into another lockspace than its own");
    invariant(!lockspace.resources.has(name), "A resource is locked twice under one name");
    invariant(holdings.length > 0, "A resource is locked for nobody");
    invariant(holdings.length === 1 || shared, "A resource has several owners and is not shared");
    invariant(id < this.#nextId, "A resource has an id that was not given out");
    lockspace.resources.set(name, resource);
    this.#count++;
    if (handle.kind === "file" && handle.lock === "posix") this.#guard.protect(handle.identity, shared);
    for (const { owner } of holdings) this.owned.add(owner, resource);
  }

  /**
   * Puts one back that an earlier life had; its descriptor's ownership passes to the table.
   *
   * @throws Error when its lockspace is not there, or has one of that name already
   */
  restore(resource: Resource): void {
    const { name, id } = resource;
    const lockspace = this.#directories.get(resource.lockspace);
    if (lockspace === undefined) {
      throw new Error(`Restore resource ${name}: lockspace '${resource.lockspace}' does not exist`);
    }
    if (lockspace.resources.has(name)) {
      throw new Error(`Restore resource ${name}: it appears twice in lockspace '${resource.lockspace}'`);
    }
    this.nextId = id + 1;
    this.insert(lockspace, resource);
  }

  /** Its last owner was taken off. */
  remove(resource: Resource): void {
    invariant(resource.holdings.length === 0, "A resource goes that still has an owner");
    invariant(this.has(resource), "A resource goes that is not in the table");
    this.#directories.get(resource.lockspace)?.resources.delete(resource.name);
    this.#count--;
    invariant(this.#count >= 0, "There are fewer resources than none");
  }
}
