import { deepStrictEqual } from "node:assert/strict";
import { F_RDLCK, F_WRLCK, O_CLOEXEC, O_RDWR } from "../../src/os/constants.ts";
import { must } from "../../src/os/system_error.ts";
import type { LockEntry } from "../../src/lockd/status/status_document.ts";
import { LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import {
  encodeCreateLockspace,
  encodeNew,
  encodeRegister,
  encodeResource,
  encodeRestrict,
} from "../support/lock_codec.ts";
import { StatusProcedure } from "../../src/lockd/wire/status_protocol.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr.ts";
import { AdminClient } from "../support/admin_client.ts";
import { Daemon } from "../support/daemon.ts";
import { Holder } from "../support/holder.ts";
import { kernel, lockOn } from "../support/kernel.ts";
import { testOwner } from "../support/lock_client.ts";
import { LockModel, type ModelOwner, type ModelReply, type ResourceRequest } from "../support/lock_model.ts";
import { RawClient } from "../support/raw_client.ts";
import { until } from "../support/until.ts";
import { DISKS, LEASES, LOCKSPACES, OWNERS, type Step } from "./steps.ts";

/** Owners' pids begin here: no process can have one (PID_MAX_LIMIT is 4194304). */
const FIRST_PID = 1_900_000_000;
const FOREIGN = ["/disks/foreign", "exclusive"] as const;
const FOREIGN_SHARED = ["/disks/foreign-shared", "shared"] as const;
const PROCEDURES = {
  create: LockProcedure.CREATE_RESOURCE,
  delete: LockProcedure.DELETE_RESOURCE,
  acquire: LockProcedure.ACQUIRE_RESOURCE,
  release: LockProcedure.RELEASE_RESOURCE,
};

/** A step that is a request of a client. */
type Request = Exclude<Step, { holder: number } | { op: "re-exec" | "connect" | "close" }>;

/** A daemon and the model of it, to which the same things happen. */
export class World implements AsyncDisposable {
  readonly #daemon: Daemon;
  readonly #admin: AdminClient;
  readonly #model = new LockModel();
  readonly #clients = new Map<number, RawClient>();
  readonly #holders = new Map<number, Holder>();
  /** Pids of holders, of those that have ended too. */
  readonly #holderPids = new Map<number, number>();
  readonly #foreign: number[] = [];
  readonly #owners = new Map<string, ModelOwner>();
  /** Every path that was ever there. */
  readonly #paths = new Set<string>();

  private constructor(daemon: Daemon, admin: AdminClient) {
    this.#daemon = daemon;
    this.#admin = admin;
    this.#furnish();
  }

  /** Starts a daemon among some files, two of which this process has locked itself. */
  static async create(): Promise<World> {
    const daemon = await Daemon.start({ args: ["-v"] });
    return new World(daemon, await AdminClient.connect(daemon.adminSocket));
  }

  /** Lets a step happen and compares everything. @throws Error when daemon, kernel and model differ */
  async take(step: Step): Promise<void> {
    switch (step.op) {
      case "begin":
        await this.#begin(step.holder);
        break;
      case "drop":
      case "kill":
        await this.#end(step.holder, step.op);
        break;
      case "re-exec":
        await this.#reExec(step.wait);
        break;
      case "connect":
        this.#connect(step.client);
        break;
      case "close":
        this.#close(step.client);
        break;
      default:
        this.#ask(step);
    }
    await this.#compare();
  }

  /** The same comparison by the command that people use. @throws Error */
  async compareCommand(): Promise<void> {
    const { code, stdout, stderr } = await this.#daemon.command("locks", "--json");
    deepStrictEqual([code, stderr], [0, ""]);
    const entries: LockEntry[] = JSON.parse(stdout);
    deepStrictEqual(entries.map(listed).sort(), this.#expected());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients.values()) client.close();
    for (const fd of this.#foreign) kernel.close(fd);
    await this.#admin.close();
    await this.#daemon[Symbol.asyncDispose]();
    // After the daemon: it would take their locks along.
    for (const holder of this.#holders.values()) await holder[Symbol.asyncDispose]();
  }

  #furnish(): void {
    const { directory } = this.#daemon.place;
    const model = this.#model;
    for (const path of ["/disks", "/locks", "/locks/a"]) {
      Deno.mkdirSync(directory + path);
      model.addDirectory(path);
    }
    for (const path of ["/disks/0", "/disks/1", FOREIGN[0], FOREIGN_SHARED[0], "/plain"]) {
      Deno.writeTextFileSync(directory + path, "");
      model.addFile(path);
    }
    Deno.linkSync(`${directory}/disks/0`, `${directory}/disks/0-again`);
    model.addFile("/disks/0-again", "/disks/0");
    const links = [["/disks/1-linked", "/disks/1"], ["/disks/dangling", "/disks/nothing"], [
      "/locks/a/linked",
      "/disks/1",
    ]] as const;
    for (const [path, target] of links) {
      Deno.symlinkSync(directory + target, directory + path);
      model.addLink(path, target);
      this.#paths.add(path);
    }
    for (const [path, mode] of [FOREIGN, FOREIGN_SHARED]) {
      const fd = must(kernel.open(directory + path, O_RDWR | O_CLOEXEC, 0), "open", path);
      const type = mode === "exclusive" ? F_WRLCK : F_RDLCK;
      must(kernel.ofdLock(fd, type, 0, 1), "F_OFD_SETLK", path);
      this.#foreign.push(fd);
      model.addForeignLock(path, mode);
    }
  }

  #ask(step: Request): void {
    const client = this.#clients.get(step.client);
    if (client === undefined) return;
    const { code, domain, errno } = this.#modelled(step);
    const refusal = client.request(...this.#request(step));
    const received = [refusal?.code ?? 0, refusal?.domain ?? 0];
    if (errno !== undefined) received.push(refusal?.int1 ?? 0);
    const wanted = errno === undefined ? [code, domain] : [code, domain, errno];
    deepStrictEqual(
      received,
      wanted,
      `${JSON.stringify(step)}: ${received}, wanted ${wanted}; ${refusal?.message}`,
    );
  }

  #connect(client: number): void {
    if (this.#clients.has(client)) return;
    this.#clients.set(client, RawClient.connect(this.#daemon.socket));
    this.#model.connect(client);
  }

  #close(client: number): void {
    this.#clients.get(client)?.close();
    this.#clients.delete(client);
    this.#model.disconnect(client);
  }

  #modelled(step: Request): ModelReply {
    const model = this.#model;
    const { client } = step;
    switch (step.op) {
      case "register":
        return model.register(client, this.#ownerOf(step.owner), step.id, step.flags);
      case "restrict":
        return model.restrict(client, step.flags);
      case "new":
        return model.newLockspace(client, LOCKSPACES[step.lockspace] ?? "", step.flags);
      case "ensure":
        return model.ensureLockspace(client, LOCKSPACES[step.lockspace] ?? "");
      case "create":
        return model.createResource(client, resource(step));
      case "delete":
        return model.deleteResource(client, resource(step));
      case "acquire":
        return model.acquire(client, resource(step));
      case "release":
        return model.release(client, resource(step));
    }
  }

  #request(step: Request): [number, (writer: XdrWriter) => void] {
    const directory = this.#daemon.place.directory;
    const full = (path: string) => path === "" ? "" : directory + path;
    switch (step.op) {
      case "register": {
        const { pid, uuid } = this.#ownerOf(step.owner);
        const owner = { ...testOwner(pid), uuid, id: step.id };
        return [LockProcedure.REGISTER, (writer) => encodeRegister(writer, { owner, flags: step.flags })];
      }
      case "restrict":
        return [LockProcedure.RESTRICT, (writer) => encodeRestrict(writer, { flags: step.flags })];
      case "new": {
        const path = full(LOCKSPACES[step.lockspace] ?? "");
        return [LockProcedure.NEW, (writer) => encodeNew(writer, { path, flags: step.flags })];
      }
      case "ensure": {
        const path = full(LOCKSPACES[step.lockspace] ?? "");
        return [LockProcedure.CREATE_LOCKSPACE, (writer) => encodeCreateLockspace(writer, { path })];
      }
      default: {
        const { lockspace, name, flags } = resource(step);
        const args = { path: full(lockspace), name: lockspace === "" ? full(name) : name, flags };
        return [PROCEDURES[step.op], (writer) => encodeResource(writer, args)];
      }
    }
  }

  /** The last of the owners has the pid of the first. */
  #ownerOf(number: number): ModelOwner {
    const own = FIRST_PID + number;
    const pid = number < OWNERS - 1
      ? own
      : number < OWNERS
      ? FIRST_PID
      : this.#holderPids.get(number - OWNERS) ?? own;
    const { uuid } = testOwner(number < OWNERS ? own : pid);
    const known = this.#owners.get(uuid);
    if (known !== undefined) return known;
    const owner = { pid, uuid };
    this.#owners.set(uuid, owner);
    return owner;
  }

  async #begin(number: number): Promise<void> {
    if (this.#holders.has(number)) return;
    const holder = await Holder.start(this.#daemon);
    this.#holders.set(number, holder);
    this.#holderPids.set(number, holder.pid);
    // Root's tests have each process in a user namespace of its own, where the daemon may not look.
    if (Deno.uid() !== 0) this.#model.transparent.add(holder.pid);
  }

  /** The daemon ends a process whose connection has ended if it owns anything; then its locks go. */
  async #end(number: number, how: "drop" | "kill"): Promise<void> {
    const holder = this.#holders.get(number);
    if (holder === undefined) return;
    this.#holders.delete(number);
    const owned = this.#model.owns(holder.pid);
    if (how === "drop") {
      const left = holder.disconnect();
      // It may be ended before it has answered.
      if (owned) deepStrictEqual([await holder.endedBy(), await Promise.allSettled([left])][0], "SIGTERM");
      else await left;
    }
    await holder.kill();
    for (
      let tries = 0;
      (await this.#locks()).some(({ holders }) => holders.some(({ pid }) => pid === holder.pid));
    ) {
      if (++tries > 2000) throw new Error(`Holder ${holder.pid} is gone, but its locks are still there`);
    }
    const { directory } = this.#daemon.place;
    this.#model.holderGone(holder.pid, (path) => kernel.access(directory + path, 0) === 0);
  }

  async #reExec(wait: boolean): Promise<void> {
    const takenOver = () => this.#daemon.log.text.split("Took over").length;
    const before = takenOver();
    this.#daemon.signal("SIGUSR1");
    if (wait) await until("the next image", () => takenOver() > before);
  }

  async #compare(): Promise<void> {
    const { directory } = this.#daemon.place;
    deepStrictEqual((await this.#locks()).map(listed).sort(), this.#expected(), "Locks of the daemon");
    const files = this.#model.files();
    for (const path of files.keys()) this.#paths.add(path);
    const found = new Map<string, string>();
    for (const path of this.#paths) {
      if (kernel.access(directory + path, 0) === 0) found.set(path, lockOn(directory + path).mode);
    }
    deepStrictEqual(sorted(found), sorted(files), "Files and the locks on them");
    // PID file and journal have one each too. The runtime's own files have locks of other kinds.
    deepStrictEqual(this.#kernelLocks(), this.#model.resources.length + 2, "Locks of the process");
  }

  #expected(): string[] {
    const { directory } = this.#daemon.place;
    return this.#model.resources.map(({ lockspace, name, shared, autocreate, owners }) =>
      text({
        lockspace: lockspace === "" ? "" : directory + lockspace,
        resource: lockspace === "" ? directory + name : name,
        mode: shared ? "shared" : "exclusive",
        autocreate,
        owners: owners.map(({ pid }) => pid),
      })
    ).sort();
  }

  async #locks(): Promise<LockEntry[]> {
    const entries: LockEntry[] = [];
    let cursor = "";
    do {
      const { json, next } = await this.#admin.page(StatusProcedure.LIST_LOCKS, { cursor });
      entries.push(...JSON.parse(json));
      cursor = next;
    } while (cursor !== "");
    return entries;
  }

  #kernelLocks(): number {
    const directory = `/proc/${this.#daemon.pid}/fdinfo`;
    let count = 0;
    for (const { name } of Deno.readDirSync(directory)) {
      try {
        count += Deno.readTextFileSync(`${directory}/${name}`).match(/^lock:.* OFDLCK .* 0 0$/gm)?.length ??
          0;
      } catch (error) {
        // Closed meanwhile: no lock is taken or released now.
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
    return count;
  }
}

function resource(step: { lockspace: number; name: number; flags: number }): ResourceRequest {
  const names = step.lockspace === 0 ? DISKS : LEASES;
  return {
    lockspace: LOCKSPACES[step.lockspace] ?? "",
    name: names[step.name] ?? "",
    flags: step.flags >>> 0,
  };
}

function listed({ lockspace, resource, mode, autocreate, holders, state }: LockEntry): string {
  deepStrictEqual(state, "held", `State of '${resource}'`);
  const owners = holders.flatMap(({ pid, times }) => Array.from({ length: times }, () => pid));
  return text({ lockspace, resource, mode, autocreate, owners });
}

function text(
  lock: { lockspace: string; resource: string; mode: string; autocreate: boolean; owners: number[] },
): string {
  const { lockspace, resource, mode, autocreate, owners } = lock;
  return JSON.stringify([lockspace, resource, mode, autocreate, owners.toSorted((a, b) => a - b)]);
}

function sorted(map: ReadonlyMap<string, string>): string[] {
  return [...map].map(([path, mode]) => `${path} ${mode}`).sort();
}
