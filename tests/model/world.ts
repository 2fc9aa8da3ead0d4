import { deepStrictEqual } from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
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
import { RELEASE_FORCE, StatusProcedure } from "../../src/lockd/wire/status_protocol.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import { AdminClient } from "../support/admin_client.ts";
import { Daemon } from "../support/daemon.ts";
import { Holder } from "../support/holder.ts";
import { kernel, lockOn } from "../support/kernel.ts";
import { testOwner } from "../support/lock_client.ts";
import {
  LockModel,
  type ModelOwner,
  type ModelReply,
  type ModelResource,
  type ResourceRequest,
} from "../support/lock_model.ts";
import { Place } from "../support/place.ts";
import { isSafe, safeParent } from "../support/safe_directory.ts";
import { Unowned } from "../support/unowned.ts";
import { WRITE_GUARD } from "../../src/lockd/lockspace/written_files.ts";
import { Puppet } from "../support/puppet.ts";
import { RawClient } from "../support/raw_client.ts";
import { until } from "../support/until.ts";
import { DISKS, LEASES, LOCKSPACES, LONE_HOLDER, OWNERS, type Step } from "./steps.ts";

/** Owners' pids begin here: no process can have one (PID_MAX_LIMIT is 4194304). */
const FIRST_PID = 1_900_000_000;
/** In the place of the daemon. */
const WRITTEN = "written-by-holders";
const FOREIGN = ["/disks/foreign", "exclusive"] as const;
const FOREIGN_SHARED = ["/disks/foreign-shared", "shared"] as const;
const PROCEDURES = {
  create: LockProcedure.CREATE_RESOURCE,
  delete: LockProcedure.DELETE_RESOURCE,
  acquire: LockProcedure.ACQUIRE_RESOURCE,
  release: LockProcedure.RELEASE_RESOURCE,
};

/** A step that is a request of a client. */
type Request = Exclude<
  Step,
  { holder: number } | { op: "re-exec" | "connect" | "close" | "write" | "written" | "free" }
>;
type ResourceStep = Extract<Step, { op: "acquire" }>;

/** A daemon and the model of it, to which the same things happen. */
export class World implements AsyncDisposable {
  readonly #daemon: Daemon;
  readonly #admin: AdminClient;
  readonly #model: LockModel;
  readonly #clients = new Map<number, RawClient>();
  readonly #holders = new Map<number, Holder | Puppet>();
  /** What every holder has open for writing, so that nobody can tell what its locks in a directory guard. */
  readonly #written: string;
  /** Pids of holders, of those that have ended too. */
  readonly #holderPids = new Map<number, number>();
  readonly #foreign: number[] = [];
  readonly #owners = new Map<string, ModelOwner>();
  /** Every path that was ever there. */
  readonly #paths = new Set<string>();
  /** Writes that no process has any more, by the file's number in the model. */
  readonly #writes = new Map<number, Unowned>();
  /** What was asked on it before is known to the daemon after two round trips. */
  readonly #bystander: RawClient;

  private constructor(daemon: Daemon, admin: AdminClient, settles: boolean) {
    this.#daemon = daemon;
    this.#written = join(daemon.place.directory, WRITTEN);
    this.#admin = admin;
    this.#model = new LockModel(settles);
    this.#bystander = RawClient.connect(daemon.socket);
    this.#furnish();
  }

  /**
   * Starts a daemon among some files, two of which this process has locked itself.
   *
   * @param settles whether locks wait for last writes; else they go with their holders
   */
  static async create(settles: boolean): Promise<World> {
    const place = Place.create(safeParent());
    if (settles) place.writeConfig("settle_timeout = 86400\nstorage_timeout = 300\n");
    writeFileSync(join(place.directory, WRITTEN), "");
    const daemon = await Daemon.start({ args: ["-v"], place });
    return new World(daemon, await AdminClient.connect(daemon.adminSocket), settles);
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
      case "write":
      case "written":
        this.#write(step.disk, step.op === "write");
        break;
      case "free": {
        const held = this.#model.find(resource({ ...step, flags: 0 }));
        if (held !== undefined && held.settling.size > 0) await this.#free(held);
        break;
      }
      default:
        await this.#ask(step);
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

  #write(disk: number, begins: boolean): void {
    const name = DISKS[disk] ?? "";
    const inode = this.#model.inodeOf(name);
    if (inode === undefined || this.#writes.has(inode) === begins) return;
    this.#writes.get(inode)?.[Symbol.dispose]();
    this.#writes.delete(inode);
    if (begins) {
      const path = this.#daemon.place.directory + name;
      const fd = must(kernel.open(path, O_RDWR | O_CLOEXEC, 0), "open", path);
      must(kernel.ofdLock(fd, F_RDLCK, WRITE_GUARD, 1), "F_OFD_SETLK", path);
      this.#writes.set(inode, Unowned.take(fd));
    }
    this.#model.write(inode, begins);
  }

  /** Has a lock go that waits for last writes: by their end, where that is enough. */
  async #letGo(held: ModelResource): Promise<void> {
    const write = this.#writes.get(held.inode);
    if (write !== undefined) {
      write[Symbol.dispose]();
      this.#writes.delete(held.inode);
      this.#model.write(held.inode, false);
    }
    if (held.settling.size > 0) await this.#free(held);
  }

  /** As an administrator does who knows better. */
  async #free(held: ModelResource): Promise<void> {
    const { directory } = this.#daemon.place;
    const [owner] = held.settling;
    if (owner === undefined) return;
    // Until the daemon has seen what ended before, the lock may go by itself.
    await this.#settled();
    await this.#admin.release({
      flags: RELEASE_FORCE,
      lockspace: held.lockspace === "" ? "" : directory + held.lockspace,
      resource: held.lockspace === "" ? directory + held.name : held.name,
      uuid: owner.uuid,
      guest: testOwner(owner.pid).name,
    });
    this.#model.free(held);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of [this.#bystander, ...this.#clients.values()]) client.close();
    for (const write of this.#writes.values()) write[Symbol.dispose]();
    for (const fd of this.#foreign) kernel.close(fd);
    await this.#admin.close();
    await this.#daemon[Symbol.asyncDispose]();
    this.#daemon.place[Symbol.dispose]();
    // After the daemon: it would take their locks along.
    for (const holder of this.#holders.values()) await holder[Symbol.asyncDispose]();
  }

  #furnish(): void {
    const { directory } = this.#daemon.place;
    const model = this.#model;
    for (const path of ["/disks", "/locks", "/locks/a", "/locks/adopted"]) {
      Deno.mkdirSync(directory + path);
      Deno.chmodSync(directory + path, 0o755);
      model.addDirectory(path);
    }
    for (const path of ["/locks/a", "/locks/adopted"]) if (isSafe(directory)) model.addAdoptable(path);
    Deno.writeTextFileSync(`${directory}/locks/adopted/r0`, "");
    model.addFile("/locks/adopted/r0");
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

  async #ask(step: Request): Promise<void> {
    const client = this.#clients.get(step.client);
    if (client === undefined) return;
    const obstacle = step.op === "acquire" ? this.#model.waitsFor(step.client, resource(step)) : undefined;
    if (obstacle === "either") return;
    const answer = client.ask(...this.#request(step));
    for (let waitsFor = obstacle; waitsFor !== undefined;) {
      // The first of two round trips may have been read before the request.
      for (let trip = 0; trip < 2; trip++) this.#bystander.roundTrip();
      deepStrictEqual(client.quiet, true, `${JSON.stringify(step)} is answered at once`);
      await this.#letGo(waitsFor);
      const next = this.#model.waitsFor(step.client, resource(step as ResourceStep));
      if (next === "either") {
        throw new Error(`${JSON.stringify(step)}: the model cannot tell what it waits for`);
      }
      waitsFor = next;
    }
    const { code, domain, errno } = this.#modelled(step);
    const refusal = answer();
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
    const holder = number === LONE_HOLDER
      ? Puppet.start(this.#daemon.place)
      : await Holder.start(this.#daemon);
    if (holder instanceof Puppet) await holder.call("open", this.#written, O_RDWR, 0);
    else await holder.open(this.#written);
    this.#holders.set(number, holder);
    this.#holderPids.set(number, holder.pid);
    this.#model.transparent.add(holder.pid);
  }

  /** The daemon ends a process whose connection has ended if it owns anything; then its locks go. */
  async #end(number: number, how: "drop" | "kill"): Promise<void> {
    const holder = this.#holders.get(number);
    if (holder === undefined) return;
    this.#holders.delete(number);
    const owned = this.#model.owns(holder.pid);
    if (how === "drop" && holder instanceof Holder) {
      const left = holder.disconnect();
      // It may be ended before it has answered, and by SIGKILL if it stands still for the time that it has.
      if (owned) {
        const signal = await holder.endedBy();
        deepStrictEqual(["SIGTERM", "SIGKILL"].includes(signal ?? ""), true, `It ended by ${signal}`);
        await Promise.allSettled([left]);
      } else await left;
    }
    if (holder instanceof Holder) await holder.kill();
    else await holder.process.kill();
    const staying = this.#model.willSettle(holder.pid).length;
    await until(`all but ${staying} of the locks of process ${holder.pid} to go`, async () => {
      const left = (await this.#locks()).filter(({ holders }) =>
        holders.some(({ pid }) => pid === holder.pid)
      );
      return left.length === staying && left.every(({ state }) => state === "settling");
    });
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
    await this.#settled();
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

  /** A lock whose last writes are over goes a moment later. */
  async #settled(): Promise<void> {
    const wanted = () => this.#model.resources.filter(({ settling }) => settling.size > 0).length;
    await until("the locks to go whose last writes are over", async () => {
      return (await this.#locks()).filter(({ state }) => state === "settling").length === wanted();
    });
  }

  #expected(): string[] {
    const { directory } = this.#daemon.place;
    return this.#model.resources.map(({ lockspace, name, shared, autocreate, owners, settling }) =>
      text({
        state: settling.size > 0 ? "settling" : "held",
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
  const owners = holders.flatMap(({ pid, times }) => Array.from({ length: times }, () => pid));
  return text({ lockspace, resource, mode, autocreate, owners, state });
}

function text(
  lock: Pick<LockEntry, "lockspace" | "resource" | "mode" | "autocreate" | "state"> & {
    readonly owners: readonly number[];
  },
): string {
  const { lockspace, resource, mode, autocreate, owners, state } = lock;
  return JSON.stringify([lockspace, resource, mode, autocreate, owners.toSorted((a, b) => a - b), state]);
}

function sorted(map: ReadonlyMap<string, string>): string[] {
  return [...map].map(([path, mode]) => `${path} ${mode}`).sort();
}
