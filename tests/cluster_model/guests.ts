import { invariant } from "../../src/base/invariant.ts";
import type { Owner } from "../../src/lockd/lockspace/owner.ts";
import type { Resource } from "../../src/lockd/lockspace/resource.ts";
import type { Chooser } from "./chooser.ts";
import { Disks } from "./disks.ts";
import {
  type Guest,
  IDENTITY,
  lockRequest,
  ownerOf,
  pathOf,
  resourceOf,
  STARTED,
  unlockRequest,
  Violation,
} from "./guest.ts";
import type { Life } from "./played_daemon.ts";
import type { Crippled } from "./played_etcd.ts";

/** What guests need. */
export interface GuestsParts {
  readonly disks: number;
  readonly crippled: Crippled;
  readonly chooser: Chooser;
  /** The daemons that run, by their hosts. */
  readonly lives: readonly (Life | undefined)[];
}

/** The guests of all hosts, what libvirt asks of the daemons for them, and what each may do. */
export class Guests {
  readonly #parts: GuestsParts;
  readonly #guests: Guest[] = [];
  /** Processes of guests of which their daemon knows nothing. */
  readonly #unknown = new Set<number>();
  /** Hosts that are cut off from the disks, until their guests are gone. */
  readonly #cut = new Set<number>();
  readonly #disks = new Disks();
  #nextPid = 100;
  grants = 0;
  /** How many of them were of a lock that others of the same host shared already. */
  joins = 0;
  refusals = 0;

  constructor(parts: GuestsParts) {
    this.#parts = parts;
  }

  /** How many there are. */
  get count(): number {
    return this.#guests.length;
  }

  /** Whether there are some of which their daemon knows nothing. */
  get anyUnknown(): boolean {
    return this.#guests.some(({ pid }) => this.#unknown.has(pid));
  }

  /** Whether a process lives. */
  lives(pid: number): boolean {
    return this.#guests.some((guest) => guest.pid === pid && guest.state !== "ended");
  }

  /** A guest is started: its host's daemon is asked, unless it knows that the disk is in use on this host. */
  begin(host: number): void {
    const disk = `disk${this.#parts.chooser.choose(this.#parts.disks, "disk")}`;
    const shared = this.#parts.chooser.choose(4, "shared") === 0;
    const uuid = `u${this.#nextPid}`;
    this.#beginGuest({ host, disk, shared, uuid, incoming: false });
  }

  /** A guest that is paused is started on another host, where it may turn out not to run. */
  migrate(host: number): void {
    const paused = this.#guests.filter((guest) =>
      guest.host !== host && guest.state === "paused" &&
      !this.#guests.some((other) => other !== guest && other.uuid === guest.uuid)
    );
    const guest = this.#oneOf(paused);
    if (guest === undefined) return;
    const { disk, shared, uuid } = guest;
    this.#beginGuest({ host, disk, shared, uuid, incoming: true });
  }

  #oneOf(guests: readonly Guest[]): Guest | undefined {
    return guests.length === 0 ? undefined : guests[this.#parts.chooser.choose(guests.length, "guest")];
  }

  #beginGuest(how: Pick<Guest, "host" | "disk" | "shared" | "uuid" | "incoming">): void {
    const { host, disk } = how;
    const life = this.#parts.lives[host];
    const known = this.#guests.filter((guest) =>
      guest.host === host && guest.disk === disk &&
      (guest.state === "resuming" || !this.#unknown.has(guest.pid)) &&
      (guest.state !== "paused" || guest.lock !== "none")
    );
    for (const guest of known) if (life !== undefined) this.#handOver(life, guest);
    if (how.shared && !how.incoming && known.length > 0 && known.every(isSharing)) return this.#join(how);
    if (life === undefined || known.length > 0) return;
    const guest: Guest = { ...how, pid: this.#nextPid++, state: "asking", lock: "none", cut: false };
    this.#guests.push(guest);
    life.files.lock(lockRequest(guest), (outcome) => {
      invariant(guest.state === "asking", "A guest was answered twice");
      if (outcome.kind !== "granted") {
        this.refusals++;
        this.#guests.splice(this.#guests.indexOf(guest), 1);
        return;
      }
      this.grants++;
      // Another disk of it was refused: it is ended, and has never run.
      if (guest.incoming && this.#parts.chooser.choose(2, "starts") === 0) {
        life.kept.unused(pathOf(guest));
        guest.state = "ended";
        return this.#release(life, guest);
      }
      this.#run(guest);
    });
  }

  /** A guest shares what this host has for others already, which its daemon grants by itself. */
  #join(how: Pick<Guest, "host" | "disk" | "shared" | "uuid" | "incoming">): void {
    const guest: Guest = { ...how, pid: this.#nextPid++, state: "asking", lock: "none", cut: false };
    this.#guests.push(guest);
    this.grants++;
    this.joins++;
    this.#run(guest);
  }

  /** Whether others of its host have the lock that a guest shares. */
  #isShared(guest: Guest): boolean {
    return guest.shared &&
      this.#guests.some((other) =>
        other !== guest && other.host === guest.host && other.disk === guest.disk && other.shared &&
        !this.#unknown.has(other.pid) && (other.state === "running" || other.lock === "kept")
      );
  }

  /** A guest writes from now on. */
  #run(guest: Guest): void {
    const resumed = guest.state !== "asking";
    guest.state = "running";
    if (!resumed) guest.cut = this.#cut.has(guest.host);
    // Those that share a disk expect others to write.
    if (!guest.cut) this.#disks.writes(guest, resumed && !guest.shared);
    this.check();
  }

  /** A guest is paused: libvirt releases its lock, which its daemon keeps where it may. */
  pause(host: number): void {
    const guest = this.#oneOf(this.#of(host, "running"));
    const life = this.#parts.lives[host];
    if (guest === undefined || life === undefined || this.#unknown.has(guest.pid)) return;
    guest.state = "paused";
    // Others have it in its place.
    if (this.#isShared(guest)) return;
    guest.lock = "kept";
    if (!life.kept.keeps(pathOf(guest))) this.#handOver(life, guest);
  }

  /** A paused guest is to go on. */
  resume(host: number): void {
    const guest = this.#oneOf(this.#of(host, "paused"));
    const life = this.#parts.lives[host];
    if (guest === undefined || life === undefined) return;
    const unknown = this.#unknown.has(guest.pid);
    const returns = this.#parts.crippled === "return-from-leaving" && guest.lock === "leaving";
    if ((guest.lock === "kept" && !unknown) || returns) {
      if (life.kept.withheld(pathOf(guest)) !== undefined) return;
      guest.lock = "none";
      return this.#run(guest);
    }
    const users = this.#guests.filter((other) =>
      other !== guest && other.host === host && other.disk === guest.disk && !this.#unknown.has(other.pid) &&
      (other.state !== "paused" || other.lock !== "none")
    );
    if (guest.lock === "none" && !unknown && guest.shared && users.length > 0 && users.every(isSharing)) {
      return this.#run(guest);
    }
    if ((guest.lock === "leaving" && !unknown) || users.length > 0) return;
    guest.state = "resuming";
    life.files.lock(lockRequest(guest), (outcome) => {
      guest.state = "paused";
      if (outcome.kind !== "granted") return;
      this.grants++;
      this.#unknown.delete(guest.pid);
      guest.lock = "none";
      this.#run(guest);
    });
  }

  /** Somebody else asks for the lock of a guest that is paused. */
  #handOver(life: Life, guest: Guest): void {
    if (guest.state !== "paused" || guest.lock !== "kept") return;
    guest.lock = "leaving";
    this.#leave(life, guest);
  }

  #leave({ files }: Life, guest: Guest): void {
    const request = { ...unlockRequest(guest), paused: ownerOf(guest) };
    files.unlock(request, IDENTITY, () => {}, (failure) => {
      invariant(failure === undefined, "A release failed");
      guest.lock = "none";
      if (guest.state === "ended") this.#guests.splice(this.#guests.indexOf(guest), 1);
    });
  }

  #of(host: number, state: Guest["state"]): Guest[] {
    return this.#guests.filter((guest) => guest.host === host && guest.state === state);
  }

  /** A guest ends, and its daemon gives the lock back. */
  end(host: number): void {
    const guest = this.#oneOf([...this.#of(host, "running"), ...this.#of(host, "paused")]);
    if (guest !== undefined) this.#endGuest(guest);
  }

  #endGuest(guest: Guest): void {
    const { host, state, lock } = guest;
    guest.state = "ended";
    if (state === "paused" && lock === "none") {
      this.#guests.splice(this.#guests.indexOf(guest), 1);
      return;
    }
    const life = this.#parts.lives[host];
    // What is being given up goes on, and takes the guest along.
    if (life !== undefined && lock !== "leaving" && !this.#unknown.has(guest.pid)) this.#release(life, guest);
  }

  #release({ files }: Life, guest: Guest): void {
    const given = this.#parts.crippled === "share-of-one";
    if (!given && this.#isShared(guest)) return void this.#guests.splice(this.#guests.indexOf(guest), 1);
    files.unlock(unlockRequest(guest), IDENTITY, () => {}, (failure) => {
      invariant(failure === undefined, "A release failed");
      this.#guests.splice(this.#guests.indexOf(guest), 1);
    });
  }

  /** The daemon of a host was killed: what was not granted is forgotten by the kernel. @returns its guests */
  daemonEnded(host: number): readonly Guest[] {
    const mine = this.#guests.filter((guest) => guest.host === host);
    for (const guest of mine) {
      if (guest.state === "asking") this.#guests.splice(this.#guests.indexOf(guest), 1);
      if (guest.state === "resuming") guest.state = "paused";
    }
    return mine;
  }

  /** Guests of which a daemon knows nothing run on until they end by themselves. */
  forgotten(host: number): void {
    for (const guest of this.#guests) {
      const { state } = guest;
      if (guest.host === host && (state === "running" || state === "paused")) this.#unknown.add(guest.pid);
    }
  }
  /** The next daemon of a host goes on with what it knows. @param whole whether that is all */
  daemonStarted(next: Life, mine: readonly Guest[], whole: boolean): void {
    for (const guest of mine) {
      if (guest.lock === "leaving" && whole) {
        this.#leave(next, guest);
        continue;
      }
      // Of one that was paused and has no lock nothing is left to know.
      if (guest.state === "ended" && whole) this.#release(next, guest);
      // Nobody releases it any more: it is the next daemon's to find that its process is gone.
      if (guest.state === "ended" && !whole) this.#guests.splice(this.#guests.indexOf(guest), 1);
    }
  }

  /** A host is cut off from the disks: its guests end, or run on and cannot write. */
  cutOff(host: number): void {
    this.#cut.add(host);
    const ends = this.#parts.chooser.choose(2, "ends") === 0;
    const there = this.#guests.filter((guest) => guest.host === host && STARTED.includes(guest.state));
    for (const guest of there) {
      guest.cut = true;
      if (!ends || guest.state !== "running") continue;
      guest.state = "ended";
      const life = this.#parts.lives[host];
      if (this.#unknown.has(guest.pid)) this.#guests.splice(this.#guests.indexOf(guest), 1);
      else if (life !== undefined) this.#release(life, guest);
    }
  }

  /** What the lock table of a host says to another host that asks for a lock. */
  askedFor(host: number, path: string): boolean {
    const life = this.#parts.lives[host];
    const guest = this.#guests.find((each) =>
      each.host === host && pathOf(each) === path && !this.#unknown.has(each.pid) &&
      (each.state === "running" || each.state === "ended" || each.lock !== "none")
    );
    if (life === undefined || guest === undefined) return false;
    this.#handOver(life, guest);
    return guest.state === "ended" || guest.lock === "leaving";
  }

  /** What the lock table of a host has, as far as its daemon knows. */
  resources(host: number): Resource[] {
    const having = this.#guests.filter((guest) =>
      guest.host === host && !this.#unknown.has(guest.pid) &&
      (guest.state === "running" || guest.state === "ended" || guest.lock !== "none")
    );
    return Object.values(Object.groupBy(having, ({ disk }) => disk)).flatMap((guests = []) => {
      const [first, ...others] = guests;
      return first === undefined ? [] : [resourceOf(first, others)];
    });
  }

  /** Guests of a host that are paused, as far as its daemon knows. */
  pausedOf(host: number): { readonly path: string; readonly owner: Owner }[] {
    return this.#of(host, "paused").filter(({ pid }) => !this.#unknown.has(pid)).map((guest) => ({
      path: pathOf(guest),
      owner: ownerOf(guest),
    }));
  }

  /** A daemon says that a lock is not granted by the cluster. @throws Violation when its guest has it */
  doubtful(host: number, { id, path }: Resource): void {
    // Of a guest that has begun to end meanwhile it does not matter any more.
    const guest = this.#guests.find(({ pid }) => pid === id);
    if (guest === undefined || guest.state === "ended" || guest.lock === "leaving" || guest.cut) return;
    throw new Violation(`${path} of host ${host} is not granted by the cluster`);
  }

  /** No disk is written by two guests, unless all of them share it. */
  check(): void {
    for (const host of this.#cut) {
      const gone = !this.#guests.some((guest) => guest.host === host && STARTED.includes(guest.state));
      if (gone) this.#cut.delete(host);
    }
    this.#disks.check(this.#guests);
  }

  /** Every guest ends that runs or is paused. */
  endAll(): void {
    for (const guest of [...this.#guests]) {
      if (guest.state === "running" || guest.state === "paused") this.#endGuest(guest);
    }
  }

  /** Those of which their daemon knows nothing are gone. */
  endUnknown(): void {
    for (const guest of [...this.#guests]) {
      if (this.#unknown.has(guest.pid)) this.#guests.splice(this.#guests.indexOf(guest), 1);
    }
  }
}

/** Whether a guest shares its disk with whoever wants to. */
function isSharing({ shared, state }: Guest): boolean {
  return shared && state === "running";
}
