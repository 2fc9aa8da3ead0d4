import { EISDIR, ELOOP, ENOENT, ENOTDIR } from "../../src/os/errno.ts";
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
  /** Processes that live, have no disk open, and whose open files the daemon can see. */
  readonly transparent = new Set<number>();
  #resources: ModelResource[] = [];
  #nextInode = 1;

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

  /**
   * A holder's process is gone, and its locks with it, in any order. Where it shared one file under several
   * names, only the lock that goes last may take the file along: what is left tells which one that was.
   *
   * @param isThere whether a path is still there
   */
  holderGone(pid: number, isThere: (path: string) => boolean): void {
    this.transparent.delete(pid);
    const turn = ({ autocreate, path }: ModelResource) => {
      if (!autocreate) return 1;
      return this.#nodes.has(path) && !isThere(path) ? 2 : 0;
    };
    const owned = this.#resources.filter(({ owners }) => owners.some((owner) => owner.pid === pid));
    for (const resource of owned.toSorted((a, b) => turn(a) - turn(b))) {
      for (const owner of resource.owners.filter((each) => each.pid === pid)) this.#takeOff(resource, owner);
    }
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
      () => this.#lockspaces.has(path) ? OK : this.#makeLockspace(path),
    );
  }

  createResource(client: number, request: ResourceRequest): ModelReply {
    return this.#onResource(client, request, 0, ({ path, follow }) => {
      if (this.#held(request) !== undefined) return BUSY;
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
    const reply = this.#onResource(
      client,
      request,
      ACQUIRE_SHARED | ACQUIRE_AUTOCREATE,
      ({ path, follow, owner }) => {
        const shared = (request.flags & ACQUIRE_SHARED) !== 0;
        const autocreate = (request.flags & ACQUIRE_AUTOCREATE) !== 0;
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
        if (found.kind === "missing" && autocreate) {
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
      this.#takeOff(held, owner);
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

  #takeOff(resource: ModelResource, owner: ModelOwner): void {
    resource.owners.splice(resource.owners.indexOf(owner), 1);
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

/** The directories above a path, the highest first. */
function parentsOf(path: string): string[] {
  const parts = path.split("/");
  return parts.slice(2).map((_, index) => parts.slice(0, index + 2).join("/"));
}
