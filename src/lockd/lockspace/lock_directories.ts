import { plainPath } from "../../base/plain_path.ts";
import { adoptionText } from "./directory_check.ts";
import type { FileIdentity } from "./file_identity.ts";
import type { LockFiles } from "./lock_files.ts";
import { Lockspace } from "./lockspace.ts";
import { type AllowedDirectory, type Place, type Places, samePlace } from "./places.ts";
import type { Done, Refusal } from "./refusal.ts";

/** Told what becomes of lockspaces. */
export interface LockspaceObserver {
  lockspaceCreated(path: string): void;
  /** A lockspace was registered or adopted, or is on another file system than before. */
  lockspacePlaced(lockspace: Lockspace): void;
}

/** A directory that is not on the file system on which it was, or has to be. */
type Misplaced = Extract<Refusal, { kind: "misplaced" }>;

/** What {@link LockDirectories} needs. */
export interface LockDirectoriesParts {
  readonly files: Pick<LockFiles, "makeDirectory" | "checkDirectory">;
  readonly observer: LockspaceObserver;
  readonly places: Places;
  /** What the settings say of a directory; undefined when they do not name it. */
  readonly allowed: (path: string) => AllowedDirectory | undefined;
}

/**
 * The lockspaces with their directories: how they come to be here, and whether they are where they were.
 *
 * A lock directory is often on a file system of the network. With that not mounted the same path leads to a
 * directory of this host alone, where a lock keeps nobody out. So each directory is remembered with its file
 * system, and is looked at again when something was mounted or unmounted.
 */
export class LockDirectories {
  readonly #parts: LockDirectoriesParts;
  readonly #lockspaces = new Map<string, Lockspace>([["", new Lockspace("")]]);

  constructor(parts: LockDirectoriesParts) {
    this.#parts = parts;
  }

  /** All lockspaces, the default one ("") first. */
  get all(): ReadonlyMap<string, Lockspace> {
    return this.#lockspaces;
  }

  /** A lockspace by its path. */
  get(path: string): Lockspace | undefined {
    return this.#lockspaces.get(path);
  }

  /** Puts a lockspace back that an earlier life had. @returns it */
  restore(path: string): Lockspace {
    const known = this.#lockspaces.get(path);
    if (known !== undefined) return known;
    const lockspace = new Lockspace(path);
    this.#lockspaces.set(path, lockspace);
    return lockspace;
  }

  /** Registers a lockspace that is not there yet, and makes its directory. */
  make(path: string, done: Done): void {
    if (path.includes("\0")) {
      return done({ kind: "bad-name", resource: path, reason: "it contains a NUL byte" });
    }
    const misplaced = this.#unexpected(path);
    if (misplaced !== undefined) return done(misplaced);
    this.#parts.files.makeDirectory(path, (failure) => {
      if (failure !== undefined) return done(failure);
      this.#register(this.#lockspaces.get(path) ?? this.#add(path));
      done(undefined);
    });
  }

  /**
   * Registers a lockspace that is there already: a directory that was deleted is made once more, in its old
   * place.
   */
  remake(lockspace: Lockspace, done: Done): void {
    const misplaced = this.misplaced(lockspace);
    if (misplaced !== undefined) return done(misplaced);
    this.#parts.files.makeDirectory(lockspace.path, (failure) => {
      // Storage that does not answer just now keeps nobody from starting who has registered it before.
      if (failure !== undefined && failure.kind !== "storage") return done(failure);
      this.#register(lockspace);
      done(undefined);
    });
  }

  /**
   * Takes a lock directory that nobody has registered, if it is a safe one: that of a `<lease>` element. It
   * has to be safe each time that something is locked in it.
   */
  adopt(path: string, done: Done): void {
    if (!path.startsWith("/") || path.includes("\0")) return done({ kind: "lockspace-missing", path });
    const misplaced = this.#unexpected(path);
    if (misplaced !== undefined) return done(misplaced);
    this.#parts.files.checkDirectory(path, (failure) => {
      if (failure !== undefined) {
        const reason = adoptionText(failure);
        const missing = { kind: "lockspace-missing", path } as const;
        return done(reason === undefined ? missing : { ...missing, reason });
      }
      if (!this.#lockspaces.has(path)) {
        const lockspace = this.#add(path);
        lockspace.origin = "adopted";
        lockspace.place = this.#parts.places.placeOf(path);
        this.#parts.observer.lockspacePlaced(lockspace);
      }
      done(undefined);
    });
  }

  /** Why nothing may be locked in a lockspace: its directory is not where it was. Undefined: all is well. */
  misplaced(lockspace: Lockspace): Misplaced | undefined {
    const { places, observer } = this.#parts;
    if (lockspace.path === "" || lockspace.checked === places.generation) return undefined;
    const { path, place: wanted } = lockspace;
    const unexpected = this.#unexpected(path);
    if (unexpected !== undefined) return unexpected;
    const found = places.placeOf(path);
    if (found === undefined) return undefined;
    if (wanted === undefined || !samePlace(wanted, found)) {
      if (wanted !== undefined && !this.#mayMove(lockspace, wanted, found)) {
        return { kind: "misplaced", path, wanted, found };
      }
      lockspace.place = found;
      observer.lockspacePlaced(lockspace);
    }
    lockspace.checked = places.generation;
    return undefined;
  }

  /** Why no file may be made in a lockspace; undefined when one may. */
  notToBeMade({ path, origin }: Lockspace, resource: string): Refusal | undefined {
    if (origin === "registered" || this.#allowed(path) !== undefined) return undefined;
    return { kind: "adopted", path, resource };
  }

  /**
   * Whether the file of a resource is made when it is absent. @param autocreate whether its asker wants that
   */
  makesFile({ path, origin }: Lockspace, autocreate: boolean): boolean {
    if (path === "") return autocreate;
    return (autocreate && origin === "registered") || this.#allowed(path) !== undefined;
  }

  /**
   * A file in a lockspace was locked. When it is on another device than the one before, the directory has
   * been replaced, or something was mounted or unmounted and it is not known yet.
   *
   * @returns why it must not stay locked
   */
  strayed(lockspace: Lockspace, identity: FileIdentity): Misplaced | undefined {
    const { devMajor, devMinor } = identity;
    const { path, device } = lockspace;
    if (path === "" || (device?.devMajor === devMajor && device.devMinor === devMinor)) return undefined;
    lockspace.checked = undefined;
    this.#parts.places.refresh();
    const misplaced = this.misplaced(lockspace);
    if (misplaced === undefined) lockspace.device = { devMajor, devMinor };
    return misplaced;
  }

  #allowed(path: string): AllowedDirectory | undefined {
    return this.#parts.allowed(plainPath(path));
  }

  #add(path: string): Lockspace {
    const lockspace = this.restore(path);
    this.#parts.observer.lockspaceCreated(path);
    return lockspace;
  }

  #register(lockspace: Lockspace): void {
    if (lockspace.origin === "registered" && lockspace.place !== undefined) return;
    lockspace.origin = "registered";
    lockspace.place ??= this.#parts.places.placeOf(lockspace.path);
    this.#parts.observer.lockspacePlaced(lockspace);
  }

  /** Refuses a directory for which the settings name another file system than the one that it is on. */
  #unexpected(path: string): Misplaced | undefined {
    const { places } = this.#parts;
    const source = this.#allowed(path)?.source;
    const found = source === undefined ? undefined : places.placeOf(path);
    if (source === undefined || found === undefined || found.source === source) return undefined;
    return { kind: "misplaced", path, wanted: { source }, found };
  }

  /**
   * Whether a directory may be on another file system by now: nothing is locked on the old one, and it is no
   * file system of the network that is just not mounted.
   */
  #mayMove({ path, resources, pending }: Lockspace, wanted: Place, found: Place): boolean {
    const { places } = this.#parts;
    if (this.#allowed(path)?.source === found.source) return true;
    if (resources.size > 0 || pending.size > 0) return false;
    return places.isShared(found) || (places.isMounted(wanted) && !places.isShared(wanted));
  }
}
