import { encodeMeta } from "../../src/lockd/cluster/keys/meta_record.ts";
import { PlayedTime } from "../support/played_time.ts";
import type { Chooser } from "./chooser.ts";
import { Violation } from "./guest.ts";
import { Guests } from "./guests.ts";
import { KEYS, Network, NEW_META } from "./network.ts";
import { People } from "./people.ts";
import type { UngrantedTry } from "../../src/lockd/cluster/locks/ungranted_tries.ts";
import { type Kept, type Life, startDaemon } from "./played_daemon.ts";
import { type Crippled, PlayedEtcd } from "./played_etcd.ts";

/** How a history is played. */
export interface Play {
  readonly hosts: number;
  readonly disks: number;
  readonly steps: number;
  readonly crippled: Crippled;
  /** Whether people close a cluster that is open, and open it again. */
  readonly reopens?: boolean;
  /** Whether guests wait a second for etcd, and not as long as until what they asked for is known. */
  readonly impatient?: boolean;
}

/** So many turns of time settle everything once nothing is lost any more. */
const SETTLE_TURNS = 400;
/** Steps of a calm network: time, deliveries, guests that begin and end. */
const CALM_STEPS = 18;

/** Some hosts, one etcd, a network that loses and delays what it likes, guests and people. */
export class World {
  readonly #play: Play;
  readonly #chooser: Chooser;
  readonly #etcd: PlayedEtcd;
  readonly #time = new PlayedTime();
  readonly #calm: boolean;
  /** What people do in this history. What etcd has lost of a fence is an exception: see docs/cluster.md. */
  readonly #kind: "restores" | "fences";
  readonly #lives: (Life | undefined)[] = [];
  readonly #kept: (Kept | undefined)[] = [];
  readonly #network: Network;
  readonly #guests: Guests;
  readonly #people: People;
  /** By the hosts. */
  readonly #lineages: (string | undefined)[] = [];
  /** What is in the journals of hosts of tries that were granted to nobody. */
  readonly #tries: (readonly UngrantedTry[])[] = [];
  #nextNonce = 1;

  constructor(play: Play, chooser: Chooser) {
    this.#play = play;
    this.#chooser = chooser;
    const { hosts, disks, crippled } = play;
    const etcd = new PlayedEtcd(crippled);
    this.#etcd = etcd;
    const nonce = () => this.#nonce();
    const network = new Network({ etcd, time: this.#time, chooser, nonce });
    this.#network = network;
    const guests = new Guests({ disks, crippled, chooser, lives: this.#lives });
    this.#guests = guests;
    this.#people = new People({ hosts, etcd, chooser, network, guests, kept: this.#kept });
    this.#calm = chooser.choose(3, "calm") > 0;
    this.#kind = chooser.choose(3, "kind") > 0 ? "restores" : "fences";
    if (chooser.choose(4, "formed") > 0) etcd.put(KEYS.meta, encodeMeta({ ...NEW_META, phase: "open" }));
    for (let host = 0; host < hosts; host++) this.#start(host);
  }

  get grants(): number {
    return this.#guests.grants;
  }

  get refusals(): number {
    return this.#guests.refusals;
  }

  /** Plays the steps, then lets everything come to rest. @throws Violation */
  run(): void {
    for (let step = 0; step < this.#play.steps; step++) {
      this.#step();
      this.#guests.check();
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
        return this.#guests.begin(host);
      case 3:
      case 4:
        return this.#guests.end(host);
      case 5:
        return this.#crash(host);
      case 6:
        return this.#network.lose();
      case 7:
        return this.#network.loseAnswer();
      case 8:
        return this.#time.advance();
      case 16:
      case 17:
      case 18:
        return this.#guests.begin(host);
      case 19:
      case 20:
        return this.#guests.end(host);
      case 21:
      case 22:
        return this.#guests.pause(host);
      case 23:
      case 24:
        return this.#guests.resume(host);
      case 25:
        return this.#guests.migrate(host);
      default:
        if (!this.#network.deliverAny()) this.#time.advance();
    }
  }

  /** Something that happens to etcd, or that a person does. */
  #event(host: number): void {
    if (this.#kind === "fences" && this.#chooser.choose(4, "fence") > 0) return this.#people.fence(host);
    if (this.#kind === "fences") return this.#operate();
    switch (this.#chooser.choose(4, "event")) {
      case 0:
        return this.#network.save();
      case 1:
        return this.#restore();
      default:
        return this.#operate();
    }
  }

  #operate(): void {
    if (this.#play.reopens === true) this.#people.reopen();
    else this.#people.operate();
  }

  /** etcd is restored from a backup. */
  #restore(): void {
    // Of a guest of which its daemon has lost everything, only etcd knew: see docs/cluster.md.
    if (this.#network.hasBackup && !this.#guests.anyUnknown) this.#network.restore();
  }

  #start(host: number): void {
    const nonce = () => this.#nonce();
    this.#lives[host] = startDaemon(host, {
      time: this.#time,
      network: this.#network,
      guests: this.#guests,
      kept: this.#kept,
      nonce,
      lineage: `lineage${this.#lineages[host] ??= this.#nonce()}`,
      tries: this.#tries[host] ?? [],
      record: (tries) => void (this.#tries[host] = tries),
      patience: this.#play.impatient === true ? 1000 : 10_000,
    });
  }

  #nonce(): string {
    return String(this.#nextNonce++);
  }

  /** The daemon is killed, and the next one starts. */
  #crash(host: number): void {
    const life = this.#lives[host];
    life?.loop.end();
    life?.session.close();
    const mine = this.#guests.daemonEnded(host);
    // What it has told its host is all that the next one knows.
    const seen = this.#kept[host]?.seen;
    this.#network.forget(host, Math.max(seen?.session ?? 0, seen?.meta ?? 0));
    // Mostly its state is recovered whole; sometimes nothing is known, and running guests go on all the same.
    // Not where etcd has lost something too: see docs/cluster.md.
    const whole = this.#chooser.choose(4, "whole") > 0 || this.#network.lost;
    if (!whole) {
      this.#guests.forgotten(host);
      this.#lineages[host] = undefined;
      this.#tries[host] = [];
    }
    this.#start(host);
    const next = this.#lives[host];
    if (next !== undefined) this.#guests.daemonStarted(next, mine, whole);
  }

  /** Everybody ends, nothing is lost any more: nothing may stay behind. */
  #rest(): void {
    this.#guests.endAll();
    this.#settle();
    this.#guests.endUnknown();
    // Their daemons find by themselves that they are gone, but for shares: those a person frees.
    this.#settle();
    for (const life of this.#lives) if (life !== undefined) this.#people.freeShares(life);
    this.#settle();
    const known = this.#lives.filter((life) => life !== undefined && life.orphans.size > 0);
    if (known.length > 0) throw new Violation("a daemon keeps what is nobody's");
    for (const entry of this.#people.fenced) this.#people.sweep(entry);
    // That variant's world does not know any more who has what.
    if (this.#play.crippled === "return-from-leaving") return;
    const left = ["/lock/", "/share/", "/own/", "/paused/", "/want/"].flatMap((part) =>
      this.#etcd.keys(part)
    );
    if (left.length > 0) throw new Violation(`left in etcd: ${left.join(", ")}`);
    if (this.#guests.count > 0) throw new Violation("a guest was never answered, or its lock never released");
  }

  #settle(): void {
    for (let turn = 0; turn < SETTLE_TURNS; turn++) {
      this.#network.deliverAll();
      this.#people.operate();
      // A guest that was still being started may have got its lock meanwhile.
      this.#guests.endAll();
      this.#guests.check();
      this.#time.advance();
    }
  }
}
