import { EISDIR, ELOOP, ENOENT, ENOTDIR, ESRCH } from "../../src/os/errno.ts";
import { ACQUIRE_AUTOCREATE, ACQUIRE_SHARED } from "../../src/lockd/wire/lock_protocol.ts";
import { ErrorCode, ErrorDomain } from "../../src/chassis/wire/rpc_error.ts";

/** Who owns a lock: the same object for the same owner. */
export interface ModelOwner {
  readonly pid: number;
  readonly uuid: string;
}

/** What a request has to be answered with. */
export interface ModelReply {
  /** 0 for success. */
  readonly code: number;
  readonly domain: number;
  /** Of a SYSTEM_ERROR. */
  readonly errno?: number;
}

/** A locked resource, as the model has it. */
export interface ModelResource {
  readonly lockspace: string;
  readonly name: string;
  readonly shared: boolean;
  readonly autocreate: boolean;
  /** One for each time that it was acquired. */
  readonly owners: ModelOwner[];
  /** Those of them whose process has ended, and whose last writes are waited for. */
  readonly settling: Set<ModelOwner>;
  /** Whether its owner may not know that it has it, and gets it again. */
  regrant: boolean;
  readonly path: string;
  readonly inode: number;
}

/** What a request asks for a resource. */
export interface ResourceRequest {
  readonly lockspace: string;
  readonly name: string;
  readonly flags: number;
}

/** A connection's state. */
interface Session {
  owner: ModelOwner | undefined;
  restricted: boolean;
  /** What it was granted since it was last refused a lock, and before. */
  granted: ModelResource[];
  readonly refused: ModelResource[];
}

type Node =
  | { readonly kind: "directory" }
  | { readonly kind: "file"; readonly inode: number }
  | { readonly kind: "link"; readonly target: string };

/** What a path leads to; `path` is where a file of that name would be made. */
type Found =
  | { readonly kind: "file"; readonly inode: number }
  | { readonly kind: "missing"; readonly path: string }
  | { readonly kind: "error"; readonly errno: number };

const { INTERNAL_ERROR, INVALID_ARG, OPERATION_DENIED, OPERATION_INVALID, RESOURCE_BUSY, SYSTEM_ERROR } =
  ErrorCode;
const { NONE, RPC, LOCKSPACE } = ErrorDomain;
const NOBODY: ModelOwner = { pid: 0, uuid: "" };
const OK: ModelReply = { code: 0, domain: 0 };
const BUSY: ModelReply = { code: RESOURCE_BUSY, domain: LOCKSPACE };
const BAD_FLAGS: ModelReply = { code: INVALID_ARG, domain: RPC };
const BAD_NAME: ModelReply = { code: INVALID_ARG, domain: LOCKSPACE };
const RESTRICTED: ModelReply = { code: OPERATION_DENIED, domain: RPC };
const UNREGISTERED: ModelReply = { code: OPERATION_INVALID, domain: RPC };
/** Files are only made in directories that somebody has registered. */
const NOT_MADE: ModelReply = { code: OPERATION_INVALID, domain: LOCKSPACE };
const ENDED: ModelReply = { code: SYSTEM_ERROR, domain: LOCKSPACE, errno: ESRCH };
const ABSENT: ModelReply = { code: INTERNAL_ERROR, domain: RPC };

/**
 * The lock program in a few lines: what each request answers and what is locked afterwards, by
 * docs/protocol.md alone. Files are a map of paths; clients are numbers.
 */
export class LockModel {
  readonly #nodes = new Map<string, Node>();
  readonly #lockspaces = new Set([""]);
  readonly #sessions = new Map<number, Session>();
  /** Modes of locks that others than the daemon hold, by inode. */
  readonly #foreign = new Map<number, "exclusive" | "shared">();
  readonly #settles: boolean;
  /** Directories that are taken for lockspaces when something is locked in them, and those that were. */
  readonly #adoptable = new Set<string>();
  readonly #adopted = new Set<string>();
  /** Files to which a process that has ended still writes, as QEMU does. */
  readonly #written = new Set<number>();
  /** Pids of holders that have ended. */
  readonly #ended = new Set<number>();
  /** Processes that live, have no disk open, and whose open files the daemon can see. */
  readonly transparent = new Set<number>();
  #resources: ModelResource[] = [];
  #nextInode = 1;

  /**
   * @param settles whether locks of holders that have ended wait until nobody can write any more, for longer
   *   than any sequence takes; else they go with their holders
   */
  constructor(settles: boolean) {
    this.#settles = settles;
  }

  /** What is locked. */
  get resources(): readonly ModelResource[] {
    return this.#resources;
  }

  /** Files by path, links as well, with the lock that is on them. */
  files(): Map<string, "exclusive" | "shared" | "none"> {
    const files = new Map<string, "exclusive" | "shared" | "none">();
    for (const path of this.#nodes.keys()) {
      const found = this.#find(path, true);
      if (found.kind === "file") files.set(path, this.#modeOf(found.inode));
    }
    return files;
  }

  /** Adds a directory that is there from the beginning. */
  addDirectory(path: string): void {
    this.#nodes.set(path, { kind: "directory" });
  }

  /** Adds a file that is there from the beginning, or another name of one. */
  addFile(path: string, sameAs?: string): void {
    const other = sameAs === undefined ? undefined : this.#nodes.get(sameAs);
    this.#nodes.set(path, other?.kind === "file" ? other : { kind: "file", inode: this.#nextInode++ });
  }

  /** A directory, there from the beginning, may be adopted as a lockspace. */
  addAdoptable(path: string): void {
    this.addDirectory(path);
    this.#adoptable.add(path);
  }

  /** Which file a path leads to; undefined when there is none. */
  inodeOf(path: string): number | undefined {
    const found = this.#find(path, true);
    return found.kind === "file" ? found.inode : undefined;
  }

  /** A write to a file begins that no process has any more, or ends. */
  write(inode: number, begins: boolean): void {
    if (begins) this.#written.add(inode);
    else this.#written.delete(inode);
    this.#settle();
  }

  /** An administrator frees a lock that waits for last writes. */
  free(resource: ModelResource): void {
    const [owner] = resource.settling;
    if (owner === undefined) throw new Error(`Free '${resource.name}': it does not wait in the model`);
    for (const each of resource.owners.filter((other) => other === owner)) this.#takeOff(resource, each);
    this.#settle();
  }

  /** Adds a symbolic link. */
  addLink(path: string, target: string): void {
    this.#nodes.set(path, { kind: "link", target });
  }

  /** Somebody else locks a file. */
  addForeignLock(path: string, mode: "exclusive" | "shared"): void {
    const found = this.#find(path, true);
    if (found.kind !== "file") throw new Error(`Lock ${path}: there is no such file in the model`);
    this.#foreign.set(found.inode, mode);
  }

  connect(client: number): void {
    this.#sessions.set(client, { owner: undefined, restricted: false, granted: [], refused: [] });
  }

  /**
   * A connection ends whose process is not the owner it registered. Of what it was granted before it was
   * refused a lock its owner may not know.
   */
  disconnect(client: number): void {
    for (const resource of this.#sessions.get(client)?.refused ?? []) {
      if (resource.owners.length > 0 && !resource.shared) resource.regrant = true;
    }
    this.#sessions.delete(client);
  }

  /** Whether a process owns anything. */
  owns(pid: number): boolean {
    return this.#resources.some(({ owners }) => owners.some((owner) => owner.pid === pid));
  }

  /** A locked resource by its name. */
  find(place: Pick<ResourceRequest, "lockspace" | "name">): ModelResource | undefined {
    return this.#held(place);
  }

  /** What a holder owns that will wait for last writes when its process has ended. */
  willSettle(pid: number): readonly ModelResource[] {
    return this.#owned(pid).filter((resource) => this.#isWritten(resource));
  }

  /**
   * What an acquire of a client would wait for; "either" when that depends on which of several locks of one
   * file the daemon looks at.
   */
  waitsFor(
    client: number,
    { lockspace, name, flags }: ResourceRequest,
  ): ModelResource | "either" | undefined {
    const { owner, restricted } = this.#sessions.get(client) ?? { owner: undefined, restricted: true };
    const inSpace = this.#lockspaces.has(lockspace) || this.#adoptable.has(lockspace);
    const bad = lockspace !== "" && (name.startsWith("/") || name.split("/").includes(".."));
    const known = (flags & ~(ACQUIRE_SHARED | ACQUIRE_AUTOCREATE)) === 0;
    if (owner === undefined || restricted || !known || !inSpace || bad || this.#ended.has(owner.pid)) {
      return undefined;
    }
    const shared = (flags & ACQUIRE_SHARED) !== 0;
    const held = this.#held({ lockspace, name });
    if (held !== undefined) {
      return (held.shared && shared) || !isGoing(held) ? undefined : held;
    }
    const found = this.#find(lockspace === "" ? name : `${lockspace}/${name}`, lockspace === "");
    if (found.kind !== "file") return undefined;
    const mode = this.#modeOf(found.inode);
    if (mode === "none" || (mode === "shared" && shared)) return undefined;
    const there = this.#resources.filter(({ inode }) => inode === found.inode);
    const going = there.filter(isGoing);
    return going.length > 0 && going.length < there.length ? "either" : going[0];
  }

  /**
   * A holder's process is gone, and its locks with it, in any order. Where it shared one file under several
   * names, only the lock that goes last may take the file along: what is left tells which one that was.
   *
   * @param isThere whether a path is still there
   */
  holderGone(pid: number, isThere: (path: string) => boolean): void {
    this.transparent.delete(pid);
    this.#ended.add(pid);
    const staying = this.willSettle(pid);
    for (const { owners, settling } of staying) {
      for (const owner of owners) if (owner.pid === pid) settling.add(owner);
    }
    const turn = ({ autocreate, path }: ModelResource) => {
      if (!autocreate) return 1;
      return this.#nodes.has(path) && !isThere(path) ? 2 : 0;
    };
    const going = this.#owned(pid).filter((resource) => !staying.includes(resource));
    for (const resource of going.toSorted((a, b) => turn(a) - turn(b))) {
      for (const owner of resource.owners.filter((each) => each.pid === pid)) this.#takeOff(resource, owner);
    }
    this.#settle();
  }

  register(client: number, owner: ModelOwner, id: number, flags: number): ModelReply {
    return this.#checked(client, flags, 0, false, (session) => {
      if (id === 0) return UNREGISTERED;
      session.owner = owner;
      return OK;
    });
  }

  restrict(client: number, flags: number): ModelReply {
    return this.#checked(client, flags, 0, true, (session) => {
      session.restricted = true;
      return OK;
    });
  }

  newLockspace(client: number, path: string, flags: number): ModelReply {
    return this.#checked(client, flags, 0, true, () => {
      if (path === "") return { code: OPERATION_INVALID, domain: RPC };
      return this.#lockspaces.has(path) ? ABSENT : this.#makeLockspace(path);
    });
  }

  ensureLockspace(client: number, path: string): ModelReply {
    return this.#checked(
      client,
      0,
      0,
      false,
      () => {
        this.#adopted.delete(path);
        return this.#lockspaces.has(path) ? OK : this.#makeLockspace(path);
      },
    );
  }

  createResource(client: number, request: ResourceRequest): ModelReply {
    return this.#onResource(client, request, 0, ({ path, follow }) => {
      if (this.#held(request) !== undefined) return BUSY;
      if (this.#adopted.has(request.lockspace)) return NOT_MADE;
      const found = this.#find(path, follow);
      if (found.kind === "error") return { code: SYSTEM_ERROR, domain: NONE, errno: found.errno };
      if (found.kind === "missing") this.addFile(found.path);
      return OK;
    });
  }

  deleteResource(client: number, request: ResourceRequest): ModelReply {
    return this.#onResource(client, request, 0, ({ path }) => {
      if (this.#held(request) !== undefined) return BUSY;
      const errno = this.#unlink(path);
      return errno === 0 ? OK : { code: SYSTEM_ERROR, domain: LOCKSPACE, errno };
    });
  }

  acquire(client: number, request: ResourceRequest): ModelReply {
    const session = this.#sessions.get(client);
    const got: ModelResource[] = [];
    const adopts = this.#adoptable.has(request.lockspace) && !this.#lockspaces.has(request.lockspace);
    const asked = this.#checked(client, request.flags, ACQUIRE_SHARED | ACQUIRE_AUTOCREATE, true, () => OK);
    if (adopts && asked === OK) {
      this.#lockspaces.add(request.lockspace);
      this.#adopted.add(request.lockspace);
    }
    const reply = this.#onResource(
      client,
      request,
      ACQUIRE_SHARED | ACQUIRE_AUTOCREATE,
      ({ path, follow, owner }) => {
        const shared = (request.flags & ACQUIRE_SHARED) !== 0;
        const autocreate = (request.flags & ACQUIRE_AUTOCREATE) !== 0;
        if (this.#ended.has(owner.pid)) return ENDED;
        const held = this.#held(request);
        if (held !== undefined) {
          if (held.shared && shared) {
            held.owners.push(owner);
            return OK;
          }
          const unknown = held.regrant || (held.lockspace === "" && this.transparent.has(owner.pid));
          if (held.shared || shared || !unknown || held.owners[0] !== owner) return BUSY;
          held.regrant = false;
          got.push(held);
          return OK;
        }
        let found = this.#find(path, follow);
        if (found.kind === "error" && found.errno === ELOOP) {
          // A link in a lockspace directory is not followed, but looked behind.
          const target = this.#find(path, true);
          if (target.kind === "file" && this.#resources.some(({ inode }) => inode === target.inode)) {
            return BUSY;
          }
        }
        if (found.kind === "missing" && autocreate && !this.#adopted.has(request.lockspace)) {
          this.addFile(found.path);
          found = this.#find(path, follow);
        }
        if (found.kind !== "file") {
          return {
            code: SYSTEM_ERROR,
            domain: LOCKSPACE,
            errno: found.kind === "error" ? found.errno : ENOENT,
          };
        }
        const mode = this.#modeOf(found.inode);
        if (mode === "exclusive" || (mode === "shared" && !shared)) return BUSY;
        const { lockspace, name } = request;
        const made = {
          lockspace,
          name,
          shared,
          autocreate,
          owners: [owner],
          settling: new Set<ModelOwner>(),
          path,
          inode: found.inode,
          regrant: false,
        };
        this.#resources.push(made);
        got.push(made);
        return OK;
      },
    );
    session?.granted.push(...got);
    if (![OK, BAD_FLAGS, RESTRICTED, UNREGISTERED].includes(reply)) {
      session?.refused.push(...session.granted.splice(0));
    }
    return reply;
  }

  release(client: number, { lockspace, name, flags }: ResourceRequest): ModelReply {
    return this.#checked(client, flags, 0, true, (_session, owner) => {
      if (!this.#lockspaces.has(lockspace)) return ABSENT;
      const held = this.#held({ lockspace, name });
      if (held === undefined) return BUSY;
      if (!held.owners.includes(owner)) return { code: INTERNAL_ERROR, domain: LOCKSPACE };
      if (held.settling.has(owner)) return BUSY;
      this.#takeOff(held, owner);
      this.#settle();
      return OK;
    });
  }

  #checked(
    client: number,
    flags: number,
    known: number,
    registered: boolean,
    run: (session: Session, owner: ModelOwner) => ModelReply,
  ): ModelReply {
    const session = this.#sessions.get(client);
    if (session === undefined) throw new Error(`Client ${client} is not connected in the model`);
    if ((flags & ~known) !== 0) return BAD_FLAGS;
    if (session.restricted) return RESTRICTED;
    if (registered && session.owner === undefined) return UNREGISTERED;
    return run(session, session.owner ?? NOBODY);
  }

  #onResource(
    client: number,
    { lockspace, name, flags }: ResourceRequest,
    known: number,
    run: (resource: { path: string; follow: boolean; owner: ModelOwner }) => ModelReply,
  ): ModelReply {
    return this.#checked(client, flags, known, true, (_session, owner) => {
      if (!this.#lockspaces.has(lockspace)) return ABSENT;
      if (lockspace === "") return run({ path: name, follow: true, owner });
      if (name.startsWith("/") || name.split("/").includes("..")) return BAD_NAME;
      return run({ path: `${lockspace}/${name}`, follow: false, owner });
    });
  }

  #held({ lockspace, name }: Pick<ResourceRequest, "lockspace" | "name">): ModelResource | undefined {
    return this.#resources.find((held) => held.lockspace === lockspace && held.name === name);
  }

  #makeLockspace(path: string): ModelReply {
    const node = this.#nodes.get(path);
    if (node?.kind === "file") return { code: INTERNAL_ERROR, domain: LOCKSPACE };
    const parents = parentsOf(path);
    if (parents.some((parent) => this.#nodes.get(parent)?.kind === "file")) {
      return { code: SYSTEM_ERROR, domain: LOCKSPACE, errno: ENOTDIR };
    }
    for (const directory of [...parents, path]) this.addDirectory(directory);
    this.#lockspaces.add(path);
    return OK;
  }

  /** Follows links, the last component's only when `follow`. */
  #find(path: string, follow: boolean): Found {
    if (path === "") return { kind: "error", errno: ENOENT };
    // A name that ends in a slash is that of a directory.
    const plain = path.replace(/\/+$/, "");
    const node = this.#nodes.get(plain);
    if (node === undefined) {
      const parent = plain.slice(0, plain.lastIndexOf("/"));
      const there = this.#nodes.get(parent)?.kind === "directory";
      return there ? { kind: "missing", path: plain } : { kind: "error", errno: ENOENT };
    }
    if (node.kind === "directory") return { kind: "error", errno: EISDIR };
    if (node.kind === "link") return follow ? this.#find(node.target, true) : { kind: "error", errno: ELOOP };
    return node;
  }

  /** @returns 0 or an errno */
  #unlink(path: string): number {
    const plain = path.replace(/\/+$/, "");
    if (this.#nodes.get(plain)?.kind === "directory") return EISDIR;
    this.#nodes.delete(plain);
    return 0;
  }

  #owned(pid: number): readonly ModelResource[] {
    return this.#resources.filter(({ owners }) => owners.some((owner) => owner.pid === pid));
  }

  /**
   * Whether somebody may still write what a lock guards. In a lock directory nobody can tell what that is;
   * a file must not be open but for its lock.
   */
  #isWritten(resource: ModelResource): boolean {
    const { lockspace, inode } = resource;
    if (!this.#settles) return false;
    return lockspace !== "" || this.#written.has(inode) || this.#foreign.has(inode) ||
      this.#resources.some((other) => other !== resource && other.inode === inode);
  }

  /** Locks go whose last writes are over; each may let others go. */
  #settle(): void {
    for (;;) {
      const over = this.#resources.find((each) => each.settling.size > 0 && !this.#isWritten(each));
      if (over === undefined) return;
      for (const owner of over.owners.filter((each) => over.settling.has(each))) this.#takeOff(over, owner);
    }
  }

  #takeOff(resource: ModelResource, owner: ModelOwner): void {
    resource.owners.splice(resource.owners.indexOf(owner), 1);
    if (!resource.owners.includes(owner)) resource.settling.delete(owner);
    if (resource.owners.length > 0) return;
    this.#resources = this.#resources.filter((other) => other !== resource);
    const { autocreate, shared, inode, path } = resource;
    if (!autocreate || (shared && this.#modeOf(inode) !== "none")) return;
    // What has come to the path meanwhile is not the lock's file.
    const found = this.#find(path, true);
    if (found.kind === "file" && found.inode === inode) this.#unlink(path);
  }

  #modeOf(inode: number): "exclusive" | "shared" | "none" {
    const foreign = this.#foreign.get(inode);
    if (foreign !== undefined) return foreign;
    const held = this.#resources.find((resource) => resource.inode === inode);
    if (held === undefined) return "none";
    return held.shared ? "shared" : "exclusive";
  }
}

/** Whether every owner of a lock has ended. */
function isGoing({ owners, settling }: ModelResource): boolean {
  return owners.every((owner) => settling.has(owner));
}

/** The directories above a path, the highest first. */
function parentsOf(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(2).map((_, index) => parts.slice(0, index + 2).join("/"));
}
