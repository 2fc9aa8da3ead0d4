import type { Question } from "../../src/etcd/wire/link_messages.ts";
import { EarlierStarts, type KeptStart } from "../../src/lockd/cluster/reboot/earlier_starts.ts";
import { ClusterKeys } from "../../src/lockd/cluster/keys/keys.ts";
import type { RebootTrust } from "../../src/lockd/cluster/reboot/reboot_trust.ts";
import { encodeMeta } from "../../src/lockd/cluster/keys/meta_record.ts";
import { encodeRecord } from "../../src/lockd/cluster/keys/records.ts";
import type { MachineMark, SessionRecord } from "../../src/lockd/cluster/keys/session_record.ts";
import { ClusterSession } from "../../src/lockd/cluster/session/session.ts";
import { SessionSweep } from "../../src/lockd/cluster/reboot/session_sweep.ts";
import { PlayedEtcd } from "../cluster_model/played_etcd.ts";
import { PlayedTime } from "./played_time.ts";

const META = { spaces: ["scsi"], phase: "open", round: "r1", expect: [], without: [], why: "" } as const;

/** How a host is started. */
export interface StartOptions {
  readonly boot: string;
  readonly host?: string;
  /** undefined: it writes none. */
  readonly machine?: MachineMark | undefined;
  readonly trust?: RebootTrust;
  /** Processes that may live, by pid. */
  readonly living?: ReadonlySet<number>;
}

/** A host's daemon, as far as it is a member and ends earlier starts of its host. */
export interface StartedHost {
  readonly session: ClusterSession;
  readonly earlier: EarlierStarts;
  /** What it has told, in order. */
  readonly told: string[];
  readonly kept: KeptStart[];
  /** From now on etcd does not hear of it, nor it of etcd. */
  cut: boolean;
}

export const MACHINE: MachineMark = { board: "b", whole: "w" };

/** An etcd, and hosts that are started on machines. */
export class StartedHosts {
  readonly etcd = new PlayedEtcd("none");
  readonly keys = new ClusterKeys("test");
  readonly time = new PlayedTime();
  /** Called before etcd is asked anything. */
  before: (question: Question) => void = () => {};
  #nonces = 0;

  constructor() {
    this.etcd.put(this.keys.meta, encodeMeta(META));
    this.#tick();
  }

  /** Time passes also when nobody waits for anything. */
  #tick(): void {
    this.time.after(1000, () => this.#tick());
  }

  start(options: StartOptions): StartedHost {
    const { boot, host: id = "h1", machine = MACHINE, living = new Set() } = options;
    const { trust = { kind: "trusted", mark: machine } } = options;
    const loop = this.time.loop();
    const told: string[] = [];
    const kept: KeptStart[] = [];
    const started = { cut: false };
    const etcd = {
      unreachable: undefined,
      starting: false,
      ask: (question: Question, limitMs: number, done: Parameters<ClusterSession["ask"]>[1]) => {
        if (started.cut) {
          loop.after(limitMs, () => done({ kind: "unknown", reason: "no answer" }));
          return;
        }
        loop.defer(() => {
          this.before(question);
          done(this.etcd.apply(question, this.time.now));
        });
      },
    };
    const host = {
      id,
      name: id,
      boot,
      daemon: { place: "p", pid: 1, start: 1 },
      ..."machine" in options && options.machine === undefined ? {} : { machine },
    };
    const session: ClusterSession = new ClusterSession({
      etcd,
      loop,
      clock: () => this.time.now,
      keys: this.keys,
      host,
      isEarlier: () => false,
      spaces: ["scsi"],
      nonce: () => `n${++this.#nonces}`,
      note: undefined,
      joinMs: () => 60_000,
      keep: () => undefined,
      holds: () => false,
      held: () => 0,
      has: () => false,
      look: () => undefined,
      givesBack: () => false,
      left: () => {},
      marksGone: () => {},
      gaveUp: () => {},
      reconcile: (epoch, done) => earlier.end(epoch, (failure) => done(failure ?? [])),
      observer: {
        clusterJoined: () => told.push("joined"),
        clusterTroubled: () => {},
        clusterLost: (reason) => told.push(`lost: ${reason}`),
        clusterRecovered: () => {},
        clusterCondemned: ({ by }) => told.push(`condemned by ${by}`),
        clusterFenced: ({ by }) => told.push(`fenced by ${by}`),
        clusterDoubtful: () => {},
      },
    });
    const sweep = new SessionSweep({ session, keys: this.keys, loop });
    const earlier = new EarlierStarts({
      session,
      etcd,
      keys: this.keys,
      loop,
      host,
      trust,
      lives: (pid) => living.has(pid),
      sweep: (session, revision) => sweep.sweep(session, revision),
      now: () => this.time.now,
      observer: {
        earlierStartFenced: (_, boot, locks) => told.push(`ended ${boot}, ${locks} locks`),
        earlierStartKept: (start) => {
          told.push(`kept ${start.boot}`);
          kept.push(start);
        },
      },
    });
    session.begin();
    return Object.assign(started, { session, earlier, told, kept });
  }

  /** A guest's lock, as the host of a session has it in etcd. */
  lock({ session: { id: session } }: Pick<StartedHost, "session">, name: string, pid = 11): void {
    const key = this.keys.exclusive({ space: "scsi", name });
    const value = encodeRecord({ session, attempt: "a", domain: "web", uuid: "u", pid, start: 5, since: 1 });
    this.etcd.put(key, value);
    this.etcd.put(this.keys.own(session, key), value);
  }

  /** Every lock that somebody has alone. */
  get locks(): readonly string[] {
    return this.etcd.keys(this.keys.exclusives).filter((key) => key.startsWith(this.keys.exclusives));
  }

  /** What etcd has of a session. */
  record(session: string): SessionRecord {
    return JSON.parse(this.etcd.get(this.keys.session(session)) ?? "null");
  }

  /** Lets time pass. @param seconds how much, at least */
  pass(seconds: number): void {
    const until = this.time.now + seconds * 1000;
    while (this.time.now < until) this.time.advance();
  }

  /** A host that has a lock loses its power. */
  crashed(options: StartOptions, ...locks: readonly string[]): StartedHost {
    const host = this.start(options);
    this.pass(2);
    for (const name of locks) this.lock(host, name);
    host.session.close();
    host.cut = true;
    return host;
  }
}
