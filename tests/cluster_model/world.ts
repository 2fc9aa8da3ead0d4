import { invariant } from "../../src/base/invariant.ts";
import type { Answer, Question } from "../../src/etcd/wire/link_messages.ts";
import type { KeyValue, Transaction, TransactionResult } from "../../src/etcd/wire/transaction.ts";
import { Fencer } from "../../src/lockd/cli/cluster/fencer.ts";
import { ClusterLockFiles } from "../../src/lockd/cluster/cluster_lock_files.ts";
import { ClusterLocks } from "../../src/lockd/cluster/cluster_locks.ts";
import { FencedLocks } from "../../src/lockd/cluster/fenced_locks.ts";
import { releaseByHand, say } from "../../src/lockd/cluster/fencing.ts";
import { HolderNames } from "../../src/lockd/cluster/holder_names.ts";
import { ClusterKeys } from "../../src/lockd/cluster/keys.ts";
import type { Seen } from "../../src/lockd/cluster/membership_file.ts";
import { ClusterNames } from "../../src/lockd/cluster/names.ts";
import { decodeMeta, decodeSession, encodeMeta } from "../../src/lockd/cluster/records.ts";
import { Orphans } from "../../src/lockd/cluster/orphans.ts";
import { AskedLocks } from "../../src/lockd/cluster/asked_locks.ts";
import { PausedMarks } from "../../src/lockd/cluster/paused_marks.ts";
import { Wants } from "../../src/lockd/cluster/wants.ts";
import { Reconciliation } from "../../src/lockd/cluster/reconciliation.ts";
import { ClusterSession } from "../../src/lockd/cluster/session.ts";
import { HELD } from "../../src/lockd/lockspace/lock_record.ts";
import type { LockFiles } from "../../src/lockd/lockspace/lock_files.ts";
import type { Owner } from "../../src/lockd/lockspace/owner.ts";
import type { Resource } from "../../src/lockd/lockspace/resource.ts";
import { type Crippled, PlayedEtcd, type Snapshot } from "./played_etcd.ts";
import { type PlayedLoop, PlayedTime } from "../support/played_time.ts";

/** Chooses what happens next. */
export interface Chooser {
  /** A number from 0 to `count` - 1. @param what for the recorded list of calls */
  choose(count: number, what: string): number;
}

/** How a history is played. */
export interface Play {
  readonly hosts: number;
  readonly disks: number;
  readonly steps: number;
  readonly crippled: Crippled;
}

/** Two guests had one disk, or something stayed that nobody holds. */
export class Violation extends Error {
  override readonly name = "Violation";
}

const SPACE = "/locks";
/** So many turns of time settle everything once nothing is lost any more. */
const SETTLE_TURNS = 400;
/** Steps of a calm network: time, deliveries, guests that begin and end. */
const CALM_STEPS = 18;

interface Guest {
  readonly pid: number;
  /** Of its domain: those of one that migrates have the same. */
  readonly uuid: string;
  readonly host: number;
  readonly disk: string;
  readonly shared: boolean;
  /** Whether it comes from another host, and may turn out not to start. */
  readonly incoming: boolean;
  /**
   * "asking": not granted; "running": it writes; "paused": it does not, and may go on; "resuming": it asks
   * for its lock again; "ended": its lock is being released.
   */
  state: "asking" | "running" | "paused" | "resuming" | "ended";
  /** Of one that is paused: "kept" until somebody asks for it, "leaving" while it is given up. */
  lock: "kept" | "leaving" | "none";
  /** It cannot write: its host was cut off from the disks when somebody said so. */
  cut: boolean;
}

interface Message {
  readonly host: number;
  readonly question: Question;
  /** @returns whether whoever asked still waits */
  readonly reply: (answer: Answer) => boolean;
}

/** A daemon's life, from its start to its end. */
interface Life {
  readonly marks: PausedMarks;
  readonly orphans: Orphans;
  readonly loop: PlayedLoop;
  readonly session: ClusterSession;
  readonly files: ClusterLockFiles;
}

/** Some hosts, one etcd, and a network that loses and delays what it likes. */
export class World {
  readonly #play: Play;
  readonly #chooser: Chooser;
  readonly #etcd: PlayedEtcd;
  readonly #time = new PlayedTime();
  readonly #calm: boolean;
  /** What people do in this history. What etcd has lost of a fence is an exception: see docs/cluster.md. */
  readonly #kind: "restores" | "fences";
  /** Hosts that are cut off from the disks, until their guests are gone. */
  readonly #cut = new Set<number>();
  /** Sessions as they were when they were condemned. */
  readonly #condemned = new Map<number, KeyValue>();
  readonly #guests: Guest[] = [];
  readonly #lives: (Life | undefined)[] = [];
  /** Session that each host keeps in its run directory. */
  readonly #kept: ({ readonly session: string; readonly seen: Seen | undefined } | undefined)[] = [];
  /** The latest revision that each host's daemon has been told of. */
  readonly #told: number[] = [];
  #backup: Snapshot | undefined;
  /** Whether etcd was restored, and is not whole again. */
  get #lost(): boolean {
    if (this.#noticing !== undefined) return true;
    const value = this.#etcd.get(META);
    return value !== undefined && decodeMeta({ key: META, value, changedAt: 0 }).phase === "recovering";
  }
  /** Hosts that notice by the next answer that etcd was restored, as long as nobody has. */
  #noticing: Set<number> | undefined;
  /** Questions that have not reached etcd; they may still do so after their asker has given up. */
  #travelling: Message[] = [];
  /** Questions that are answered when something is changed. */
  #watching: Message[] = [];
  /** Who wrote last to each disk: who goes on after a pause must find it as it was. */
  readonly #writer = new Map<string, number>();
  #nextPid = 100;
  #nextNonce = 1;
  grants = 0;
  refusals = 0;

  constructor(play: Play, chooser: Chooser) {
    this.#play = play;
    this.#chooser = chooser;
    this.#etcd = new PlayedEtcd(play.crippled);
    this.#calm = chooser.choose(3, "calm") > 0;
    this.#kind = chooser.choose(3, "kind") > 0 ? "restores" : "fences";
    if (chooser.choose(4, "formed") > 0) this.#etcd.put(META, encodeMeta({ ...NEW_META, phase: "open" }));
    for (let host = 0; host < play.hosts; host++) this.#start(host);
  }

  /** Plays the steps, then lets everything come to rest. @throws Violation */
  run(): void {
    for (let step = 0; step < this.#play.steps; step++) {
      this.#step();
      this.#check();
    }
    this.#rest();
  }

  #step(): void {
    const { hosts } = this.#play;
    const host = this.#chooser.choose(hosts, "host");
    if (this.#chooser.choose(this.#kind === "fences" ? 10 : 30, "event") === 0) return this.#event(host);
    // A network that loses every third message hides what happens when most things go well.
    const calm = this.#calm && this.#chooser.choose(8, "calm") > 0;
    switch (calm ? 8 + this.#chooser.choose(CALM_STEPS, "what") : this.#chooser.choose(16, "what")) {
      case 0:
      case 1:
      case 2:
        return this.#begin(host);
      case 3:
      case 4:
        return this.#end(host);
      case 5:
        return this.#crash(host);
      case 6: {
        // Lost before it came to etcd.
        const [index] = this.#pick();
        if (index !== undefined) this.#travelling.splice(index, 1);
        return;
      }
      case 7: {
        // Done, and its answer is lost.
        const [index, message] = this.#pick();
        if (index === undefined || message === undefined) return;
        this.#travelling.splice(index, 1);
        if (this.#noticing === undefined) this.#apply(message.question);
        return;
      }
      case 8:
        return this.#time.advance();
      case 16:
      case 17:
      case 18:
        return this.#begin(host);
      case 19:
      case 20:
        return this.#end(host);
      case 21:
      case 22:
        return this.#pause(host);
      case 23:
      case 24:
        return this.#resume(host);
      case 25:
        return this.#migrate(host);
      default: {
        const [index, message] = this.#pick();
        if (index === undefined || message === undefined) return this.#time.advance();
        this.#deliver(index, message);
      }
    }
  }

  #pick(): [number | undefined, Message | undefined] {
    if (this.#travelling.length === 0) return [undefined, undefined];
    const index = this.#chooser.choose(this.#travelling.length, "message");
    return [index, this.#travelling[index]];
  }

  #deliver(index: number, { host, question, reply }: Message): void {
    this.#travelling.splice(index, 1);
    // Between a restore and the moment when somebody has said so nothing is promised: whoever comes first
    // has to be one who notices, and that is the first thing that is written.
    if (this.#noticing !== undefined && !(this.#noticing.has(host) && isNotice(question))) return;
    if (question.kind === "await-change" && !this.#etcd.hasChanged(question.prefix, question.from)) {
      this.#watching.push({ host, question, reply });
      return;
    }
    const answer = this.#apply(question);
    const wrote = question.kind === "transaction" && writes(question).length > 0;
    if (wrote && answer.kind === "transaction" && answer.result.succeeded) this.#noticing = undefined;
    if (reply(answer) && answer.kind === "transaction") this.#told[host] = answer.result.revision;
  }

  /** Something that happens to etcd, or that a person does. */
  #event(host: number): void {
    if (this.#kind === "fences" && this.#chooser.choose(4, "fence") > 0) return this.#fence(host);
    if (this.#kind === "fences") return this.#operate();
    switch (this.#chooser.choose(4, "event")) {
      case 0:
        this.#backup = this.#etcd.save();
        return;
      case 1:
        return this.#restore();
      default:
        return this.#operate();
    }
  }

  /** etcd is restored from a backup: what was under way with the one before is lost. */
  #restore(): void {
    const backup = this.#backup;
    if (backup === undefined || backup.revision === this.#etcd.revision) return;
    // Of a guest of which its daemon has lost everything, only etcd knew: see docs/cluster.md.
    if (this.#guests.some(({ pid }) => this.#unknown.has(pid))) return;
    const anew = this.#chooser.choose(3, "anew") === 0;
    this.#travelling = [];
    this.#etcd.restore(backup, anew);
    const noticing = this.#told.flatMap((revision, host) => revision > backup.revision ? [host] : []);
    this.#noticing = new Set(noticing);
    if (noticing.length === 0) this.#unnoticed();
  }

  /** Nobody can notice: whoever restores it says so. */
  #unnoticed(): void {
    this.#noticing = undefined;
    const round = `operator${this.#nextNonce++}`;
    this.#etcd.put(META, encodeMeta({ ...NEW_META, phase: "recovering", round, why: "restored" }));
  }

  /** A person says which hosts there are. */
  #operate(): void {
    const value = this.#etcd.get(META);
    if (value === undefined) return;
    const meta = decodeMeta({ key: META, value, changedAt: 0 });
    if (meta.phase === "open") return;
    const expect = Array.from({ length: this.#play.hosts }, (_, host) => `h${host}`);
    if (this.#noticing === undefined && meta.expect.length === 0) {
      this.#etcd.put(META, encodeMeta({ ...meta, expect }));
    }
  }

  /** etcd does something, and whoever watches what has changed is answered some time. */
  #apply(question: Question): Answer {
    const answer = this.#etcd.apply(question, this.#time.now);
    const { watching, told } = Object.groupBy(
      this.#watching,
      ({ question }) =>
        question.kind === "await-change" && this.#etcd.hasChanged(question.prefix, question.from)
          ? "told"
          : "watching",
    );
    this.#watching = watching ?? [];
    this.#travelling.push(...told ?? []);
    return answer;
  }

  /**
   * A person goes on with fencing a host: condemns it, then cuts it off from the disks and says so, then
   * takes its locks away. The daemon may be well all the time.
   */
  #fence(host: number): void {
    const kept = this.#kept[host];
    const entry = kept === undefined ? undefined : this.#entry(KEYS.session(kept.session));
    if (entry === undefined) return;
    const record = decodeSession(entry);
    const { host: id, name, boot, nonce, fencing } = record;
    const travel = (state: "condemned" | "fenced", seen = entry) => {
      const transaction = say(seen, { host: id, name, boot, nonce, fencing: { state, ...WORD } });
      this.#travelling.push({
        host: this.#play.hosts,
        question: { kind: "transaction", transaction },
        reply: () => false,
      });
    };
    switch (fencing?.state) {
      case undefined: {
        // What was said before the host has objected may come later than its objection.
        const seen = this.#condemned.get(host);
        if (seen === undefined || this.#chooser.choose(2, "late") === 0) return travel("condemned");
        return travel("fenced", seen);
      }
      case "condemned":
        this.#condemned.set(host, entry);
        this.#cutOff(host);
        if (this.#chooser.choose(2, "now") === 0) travel("fenced");
        return;
      case "fenced":
        return this.#sweep(entry);
    }
  }

  /** A host is cut off from the disks: its guests end, or run on and cannot write. */
  #cutOff(host: number): void {
    this.#cut.add(host);
    const ends = this.#chooser.choose(2, "ends") === 0;
    const there = this.#guests.filter((guest) => guest.host === host && STARTED.includes(guest.state));
    for (const guest of there) {
      guest.cut = true;
      if (!ends || guest.state !== "running") continue;
      guest.state = "ended";
      const life = this.#lives[host];
      if (this.#unknown.has(guest.pid)) this.#guests.splice(this.#guests.indexOf(guest), 1);
      else if (life !== undefined) this.#release(life, guest);
    }
  }

  /** Takes away what a fenced session has. */
  #sweep(entry: KeyValue): void {
    const session = entry.key.slice(KEYS.sessions.length);
    this.#fencer.sweep(session, { key: entry.key, revision: entry.changedAt });
  }

  readonly #fencer = new Fencer({
    questions: {
      get: (...keys) => keys.map((key) => this.#entry(key)),
      list: (prefix) => this.#list(prefix),
      change: (transaction) => ({ kind: "done", result: this.#change(transaction) }),
      pause: () => {},
    },
    keys: KEYS,
    word: WORD,
  });

  #entry(key: string): KeyValue | undefined {
    return this.#list(key).find((entry) => entry.key === key);
  }

  #list(prefix: string): KeyValue[] {
    const list = { op: "list", prefix, limit: 1000 } as const;
    const [page] = this.#change({ compare: [], success: [list], failure: [] }).results;
    return [...page?.found ?? []];
  }

  #change(transaction: Transaction): TransactionResult {
    const answer = this.#apply({ kind: "transaction", transaction });
    invariant(answer.kind === "transaction", "etcd has answered another question");
    return answer.result;
  }

  /** A guest is started: its host's daemon is asked, unless it knows that the disk is in use on this host. */
  #begin(host: number): void {
    const disk = `disk${this.#chooser.choose(this.#play.disks, "disk")}`;
    const shared = this.#chooser.choose(4, "shared") === 0;
    const uuid = `u${this.#nextPid}`;
    this.#beginGuest({ host, disk, shared, uuid, incoming: false });
  }

  /** A guest that is paused is started on another host, where it may turn out not to run. */
  #migrate(host: number): void {
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
    return guests.length === 0 ? undefined : guests[this.#chooser.choose(guests.length, "guest")];
  }

  #beginGuest(how: Pick<Guest, "host" | "disk" | "shared" | "uuid" | "incoming">): void {
    const { host, disk } = how;
    const life = this.#lives[host];
    const known = this.#guests.filter((guest) =>
      guest.host === host && guest.disk === disk &&
      (guest.state === "resuming" || !this.#unknown.has(guest.pid)) &&
      (guest.state !== "paused" || guest.lock !== "none")
    );
    for (const guest of known) if (life !== undefined) this.#handOver(life, guest);
    if (life === undefined || known.length > 0) return;
    const guest: Guest = { ...how, pid: this.#nextPid++, state: "asking", lock: "none", cut: false };
    this.#guests.push(guest);
    life.files.lock(this.#request(guest), (outcome) => {
      invariant(guest.state === "asking", "A guest was answered twice");
      if (outcome.kind !== "granted") {
        this.refusals++;
        this.#guests.splice(this.#guests.indexOf(guest), 1);
        return;
      }
      this.grants++;
      // Another disk of it was refused: it is ended, and has never run.
      if (guest.incoming && this.#chooser.choose(2, "starts") === 0) {
        life.files.unused(pathOf(guest));
        guest.state = "ended";
        return this.#release(life, guest);
      }
      this.#run(guest);
    });
  }

  /** A guest writes from now on. */
  #run(guest: Guest): void {
    const resumed = guest.state !== "asking";
    guest.state = "running";
    if (!resumed) guest.cut = this.#cut.has(guest.host);
    if (!guest.shared && !guest.cut) {
      if (resumed && this.#writer.get(guest.disk) !== guest.pid) {
        throw new Violation(
          `guest ${guest.pid} of host ${guest.host} goes on over what guest ${
            this.#writer.get(guest.disk)
          } has written to ${guest.disk}`,
        );
      }
      this.#writer.set(guest.disk, guest.pid);
    }
    this.#check();
  }

  #request(guest: Guest) {
    const owner = ownerOf(guest);
    const path = pathOf(guest);
    return { path, shared: guest.shared, autocreate: true, followLinks: false, owner, resumed: () => true };
  }

  /** A guest is paused: libvirt releases its lock, which its daemon keeps where it may. */
  #pause(host: number): void {
    const guest = this.#oneOf(this.#of(host, "running"));
    const life = this.#lives[host];
    if (guest === undefined || life === undefined || this.#unknown.has(guest.pid)) return;
    guest.state = "paused";
    guest.lock = "kept";
    if (!life.files.keeps(pathOf(guest))) this.#handOver(life, guest);
  }

  /** A paused guest is to go on. */
  #resume(host: number): void {
    const guest = this.#oneOf(this.#of(host, "paused"));
    const life = this.#lives[host];
    if (guest === undefined || life === undefined) return;
    const unknown = this.#unknown.has(guest.pid);
    const returns = this.#play.crippled === "return-from-leaving" && guest.lock === "leaving";
    if ((guest.lock === "kept" && !unknown) || returns) {
      if (life.files.withheld(pathOf(guest)) !== undefined) return;
      guest.lock = "none";
      return this.#run(guest);
    }
    const used = this.#guests.some((other) =>
      other !== guest && other.host === host && other.disk === guest.disk && !this.#unknown.has(other.pid) &&
      (other.state !== "paused" || other.lock !== "none")
    );
    if ((guest.lock === "leaving" && !unknown) || used) return;
    guest.state = "resuming";
    life.files.lock(this.#request(guest), (outcome) => {
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
    const request = { ...this.#unlockRequest(guest), paused: ownerOf(guest) };
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
  #end(host: number): void {
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
    const life = this.#lives[host];
    // What is being given up goes on, and takes the guest along.
    if (life !== undefined && lock !== "leaving" && !this.#unknown.has(guest.pid)) this.#release(life, guest);
  }

  #unlockRequest(guest: Guest) {
    const { shared } = guest;
    return { path: pathOf(guest), fd: 1, lock: "ofd", shared, autocreate: true, force: true } as const;
  }

  #release({ files }: Life, guest: Guest): void {
    files.unlock(this.#unlockRequest(guest), IDENTITY, () => {}, (failure) => {
      invariant(failure === undefined, "A release failed");
      this.#guests.splice(this.#guests.indexOf(guest), 1);
    });
  }

  /** The daemon is killed, and the next one starts. What was not granted is forgotten by the kernel. */
  #crash(host: number): void {
    const life = this.#lives[host];
    life?.loop.end();
    life?.session.close();
    const mine = this.#guests.filter((guest) => guest.host === host);
    for (const guest of mine) {
      if (guest.state === "asking") this.#guests.splice(this.#guests.indexOf(guest), 1);
      if (guest.state === "resuming") guest.state = "paused";
    }
    // Mostly its state is recovered whole; sometimes nothing is known, and running guests go on all the same.
    // What it has told its host is all that the next one knows.
    this.#told[host] = Math.max(this.#kept[host]?.seen?.session ?? 0, this.#kept[host]?.seen?.meta ?? 0);
    this.#noticing?.delete(host);
    if (this.#noticing?.size === 0) this.#unnoticed();
    // Not where etcd has lost something too: see docs/cluster.md.
    const whole = this.#chooser.choose(4, "whole") > 0 || this.#lost;
    if (!whole) this.#forgotten(host);
    this.#start(host);
    const next = this.#lives[host];
    if (next === undefined) return;
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

  /** Guests of which a daemon knows nothing run on until they end by themselves. */
  #forgotten(host: number): void {
    for (const guest of this.#guests) {
      const { state } = guest;
      if (guest.host === host && (state === "running" || state === "paused")) this.#unknown.add(guest.pid);
    }
  }
  readonly #unknown = new Set<number>();

  #start(host: number): void {
    const loop = this.#time.loop();
    const keys = KEYS;
    const names = new ClusterNames([{ name: "s", directory: SPACE }], (path) => path);
    const nonce = () => `n${this.#nextNonce++}`;
    const clock = () => this.#time.now;
    const markOf = ({ pid }: Owner) => ({ pid, start: 1 });
    const lives = (pid: number) => this.#guests.some((guest) => guest.pid === pid && guest.state !== "ended");
    const etcd = {
      unreachable: undefined,
      ask: (question: Question, limitMs: number, done: (answer: Answer) => void) => {
        let answered = false;
        const once = (answer: Answer) => {
          if (answered || loop.ended) return false;
          answered = true;
          timer.cancel();
          done(answer);
          return true;
        };
        const timer = loop.after(limitMs, () => once({ kind: "unknown", reason: "no answer" }));
        this.#travelling.push({ host, question, reply: once });
      },
    };
    const session: ClusterSession = new ClusterSession({
      etcd,
      loop,
      clock,
      keys,
      host: {
        id: `h${host}`,
        name: `host${host}`,
        boot: `boot${host}`,
        daemon: { place: "p", pid: 1, start: 1 },
      },
      isEarlier: () => false,
      spaces: names.spaces,
      nonce,
      known: this.#kept[host]?.session,
      joinMs: 0,
      seen: this.#kept[host]?.seen,
      keep: (id, seen) => {
        this.#kept[host] = { session: id, seen };
        return undefined;
      },
      holds: () => this.#resources(host).length > 0,
      has: ({ id }) => this.#resources(host).some((resource) => resource.id === id),
      givesBack: () => orphans.leaving > 0,
      left: () => {},
      reconcile: (epoch, done, restored) =>
        new Reconciliation({
          session,
          keys,
          names,
          files,
          resources: () => this.#resources(host),
          partWith: (path) => void this.#askedFor(host, path),
          paused: () =>
            this.#of(host, "paused").filter(({ pid }) => !this.#unknown.has(pid)).map((guest) => ({
              path: pathOf(guest),
              owner: ownerOf(guest),
            })),
          markOf,
          lives,
          locks,
          nonce,
          orphans,
          marks,
          fencedLocks,
          observer: {
            clusterUnknown: () => {},
            clusterUnknownShare: () => {},
          },
        }).run(epoch, done, restored),
      observer: {
        clusterJoined: () => {},
        clusterTroubled: () => {},
        clusterRecovered: () => {},
        clusterCondemned: () => {},
        clusterFenced: () => {},
        clusterDoubtful: (resource) => {
          // Of a guest that has begun to end meanwhile it does not matter any more.
          const guest = this.#guests.find(({ pid }) => pid === resource.id);
          if (guest === undefined || guest.state === "ended" || guest.lock === "leaving" || guest.cut) return;
          throw new Violation(`${resource.path} of host ${host} is not granted by the cluster`);
        },
        clusterLost: (reason) => {
          throw new Violation(`host ${host} has lost its session: ${reason}`);
        },
      },
    });
    const marks = new PausedMarks({ session, loop, lives });
    const wants = new Wants({ session, keys, nonce, loop, clock, wait: () => 5000 });
    const fencedLocks = new FencedLocks({ session, keys });
    const locks = new ClusterLocks({
      names: new HolderNames({ session, keys, now: clock }),
      session,
      keys,
      nonce,
      loop,
      clock,
      lives,
      orphans: () => orphans,
      held: (key) => files.holds(key),
      host: `host${host}`,
      wants,
      marks,
      fencedLocks,
      silent: () => {},
    });
    const orphans = new Orphans({
      give: (lock, done) => locks.give(lock, () => done()),
      whenGone: (lock, gone) => locks.whenGone(lock, gone),
      loop,
      lives,
      lastWrites: { look: () => undefined, judge: (_, done) => done({ kind: "over" }) },
    });
    const files: ClusterLockFiles = new ClusterLockFiles({
      files: kernelFiles(),
      names,
      devices: undefined,
      mayHang: () => false,
      locks,
      loop,
      clock,
      now: clock,
      patience: () => 10_000,
      joining: () => 0,
      markOf,
      recorded: (go) => go(),
      askedFor: (path) => this.#askedFor(host, path),
      live: () => session.state.kind === "live",
      lost: () => session.withheld,
      whenKnown: (ready) => session.whenKnown(ready),
    });
    this.#lives[host] = { loop, session, files, marks, orphans };
    session.begin();
    session.whenKnown(() => files.known());
    new AskedLocks({ session, keys, files, loop }).begin();
  }

  /** What the lock table of a host says to another host that asks for a lock. */
  #askedFor(host: number, path: string): boolean {
    const life = this.#lives[host];
    const guest = this.#guests.find((each) =>
      each.host === host && pathOf(each) === path && !this.#unknown.has(each.pid) &&
      (each.state === "running" || each.state === "ended" || each.lock !== "none")
    );
    if (life === undefined || guest === undefined) return false;
    this.#handOver(life, guest);
    return guest.state === "ended" || guest.lock === "leaving";
  }

  /** What the lock table of a host has, as far as its daemon knows. */
  #resources(host: number): Resource[] {
    return this.#guests.filter((guest) =>
      guest.host === host && !this.#unknown.has(guest.pid) &&
      (guest.state === "running" || guest.state === "ended" || guest.lock !== "none")
    ).map(({ pid, uuid, disk, shared, state, lock }) => ({
      id: pid,
      lockspace: SPACE,
      name: disk,
      path: `${SPACE}/${disk}`,
      shared,
      autocreate: true,
      holdings: [{ owner: { pid, name: `g${pid}`, uuid, id: 1 }, since: 0 }],
      state: state === "ended" || lock === "leaving" ? { kind: "releasing" } : HELD,
      handle: { kind: "file", fd: 1, identity: IDENTITY, lock: "ofd" },
    }));
  }

  /** No disk is written by two guests, unless all of them share it. */
  #check(): void {
    for (const host of this.#cut) {
      const gone = !this.#guests.some((guest) => guest.host === host && STARTED.includes(guest.state));
      if (gone) this.#cut.delete(host);
    }
    for (const guest of this.#guests) {
      if (guest.state !== "running" || guest.cut) continue;
      const other = this.#guests.find((each) =>
        each !== guest && each.state === "running" && !each.cut && each.disk === guest.disk &&
        !(each.shared && guest.shared)
      );
      if (other !== undefined) {
        throw new Violation(
          `guests ${guest.pid} and ${other.pid} of hosts ${guest.host} and ${other.host} have ${guest.disk}`,
        );
      }
    }
  }

  /** Everybody ends, nothing is lost any more: nothing may stay behind. */
  #rest(): void {
    this.#endAll();
    this.#settle();
    for (const guest of [...this.#guests]) {
      if (this.#unknown.has(guest.pid)) this.#guests.splice(this.#guests.indexOf(guest), 1);
    }
    // Their daemons find by themselves that they are gone, but for shares: those a person frees.
    this.#settle();
    for (const life of this.#lives) if (life !== undefined) this.#freeShares(life);
    this.#settle();
    const known = this.#lives.filter((life) => life !== undefined && life.orphans.size > 0);
    if (known.length > 0) throw new Violation("a daemon keeps what is nobody's");
    const fenced = this.#list(KEYS.sessions).filter((entry) =>
      decodeSession(entry).fencing?.state === "fenced"
    );
    for (const entry of fenced) this.#sweep(entry);
    // That variant's world does not know any more who has what.
    if (this.#play.crippled === "return-from-leaving") return;
    const left = ["/lock/", "/share/", "/own/", "/paused/", "/want/"].flatMap((part) => this.#etcd.keys(part))
      .filter((key) => !isMarkOf(key, fenced));
    if (left.length > 0) throw new Violation(`left in etcd: ${left.join(", ")}`);
    if (this.#guests.length > 0) {
      throw new Violation("a guest was never answered, or its lock never released");
    }
  }

  /** A person frees the shares that a host has for guests of which its daemon knows nothing. */
  #freeShares({ orphans, session }: Life): void {
    for (const { key, value } of this.#list(KEYS.shares).filter(({ key }) => orphans.has(key))) {
      const own = KEYS.own(session.id, key);
      this.#change(releaseByHand({ key, own, value }, KEYS.want(session.id, key)));
    }
  }

  #endAll(): void {
    for (const guest of [...this.#guests]) {
      if (guest.state === "running" || guest.state === "paused") this.#endGuest(guest);
    }
  }

  #settle(): void {
    for (let turn = 0; turn < SETTLE_TURNS; turn++) {
      while (this.#travelling.length > 0) {
        const [message] = this.#travelling;
        if (message !== undefined) this.#deliver(0, message);
      }
      this.#operate();
      // A guest that was still being started may have got its lock meanwhile.
      this.#endAll();
      this.#check();
      this.#time.advance();
    }
  }
}

const KEYS = new ClusterKeys("model");
const META = KEYS.meta;
/** States of guests that may write some time. */
const STARTED: readonly Guest["state"][] = ["running", "paused", "resuming"];
/** Who fences. */
const WORD = { by: "ann", from: "desk", at: 1 };
const NEW_META = { spaces: ["s"], phase: "open", round: "first", expect: [], without: [], why: "" } as const;

/** Whether a key is a paused guest's mark of a session: of one that was fenced they stay, for good. */
function isMarkOf(key: string, sessions: readonly KeyValue[]): boolean {
  const ids = sessions.map((entry) => entry.key.slice(KEYS.sessions.length));
  return key.includes("/paused/") && ids.some((id) => key.includes(`/${id}/`));
}

/** Whether it reads, or tells that etcd was restored. */
function isNotice(question: Question): boolean {
  return question.kind === "transaction" && writes(question).every((key) => key === META);
}

/** Keys that a transaction may write. */
function writes({ transaction }: Extract<Question, { kind: "transaction" }>): string[] {
  return [...transaction.success, ...transaction.failure].flatMap((each) =>
    each.op === "put" || each.op === "delete" ? [each.key] : []
  );
}

function pathOf({ disk }: Pick<Guest, "disk">): string {
  return `${SPACE}/${disk}`;
}

function ownerOf({ pid, uuid }: Guest): Owner {
  return { pid, name: `g${pid}`, uuid, id: 1 };
}

const IDENTITY = { devMajor: 0, devMinor: 0, inodeLow: 1, inodeHigh: 0 };

/** A host's own locks, of which the world itself sees to it that no disk has two. */
function kernelFiles(): LockFiles {
  return {
    lock: (_request, done) => done({ kind: "granted", fd: 1, identity: IDENTITY }),
    unlock: (_request, _identity, _slow, done) => done(undefined),
    create: (_path, _followLinks, done) => done(undefined),
    remove: (_path, done) => done(undefined),
    makeDirectory: (_path, done) => done(undefined),
    checkDirectory: (_path, done) => done(undefined),
  };
}
