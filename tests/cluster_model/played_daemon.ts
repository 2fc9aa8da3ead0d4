import type { Answer, Question } from "../../src/etcd/wire/link_messages.ts";
import { AskedLocks } from "../../src/lockd/cluster/locks/asked_locks.ts";
import { ClusterLockFiles } from "../../src/lockd/cluster/locks/cluster_lock_files.ts";
import { ClusterLocks } from "../../src/lockd/cluster/locks/cluster_locks.ts";
import { GrantedLocks } from "../../src/lockd/cluster/locks/granted_locks.ts";
import { KeptLocks } from "../../src/lockd/cluster/locks/kept_locks.ts";
import { LockTurns } from "../../src/lockd/cluster/locks/lock_turns.ts";
import { FencedLocks } from "../../src/lockd/cluster/locks/fenced_locks.ts";
import { HeldLocks } from "../../src/lockd/cluster/reconcile/held_locks.ts";
import { HolderNames } from "../../src/lockd/cluster/locks/holder_names.ts";
import type { SessionNote } from "../../src/lockd/cluster/host/membership_file.ts";
import { Lineage } from "../../src/lockd/cluster/keys/lineage.ts";
import { UngrantedTries, type UngrantedTry } from "../../src/lockd/cluster/locks/ungranted_tries.ts";
import { ClusterNames } from "../../src/lockd/cluster/keys/names.ts";
import { Orphans } from "../../src/lockd/cluster/locks/orphans.ts";
import { PausedMarks } from "../../src/lockd/cluster/locks/paused_marks.ts";
import { Reconciliation } from "../../src/lockd/cluster/reconcile/reconciliation.ts";
import { ClusterSession } from "../../src/lockd/cluster/session/session.ts";
import { Wants } from "../../src/lockd/cluster/locks/wants.ts";
import type { LockFiles } from "../../src/lockd/lockspace/lock_files.ts";
import type { Owner } from "../../src/lockd/lockspace/owner.ts";
import type { PlayedLoop, PlayedTime } from "../support/played_time.ts";
import { IDENTITY, SPACE, Violation } from "./guest.ts";
import type { Guests } from "./guests.ts";
import { KEYS, type Network } from "./network.ts";

/** A daemon's life, from its start to its end. */
export interface Life {
  readonly orphans: Orphans;
  readonly loop: PlayedLoop;
  readonly session: ClusterSession;
  readonly files: ClusterLockFiles;
  readonly kept: KeptLocks;
}

/** What a host keeps in its run directory. */
export type Kept = SessionNote;

/** What a daemon is started with. */
export interface LifeParts {
  readonly time: PlayedTime;
  readonly network: Pick<Network, "send">;
  readonly guests: Pick<Guests, "lives" | "resources" | "pausedOf" | "askedFor" | "doubtful">;
  /** By the hosts; written by their daemons. */
  readonly kept: (Kept | undefined)[];
  /** Another text each time. */
  readonly nonce: () => string;
  /** See src/lockd/cluster/keys/lineage.ts. */
  readonly lineage: string;
  /** What the journal has of tries that were granted to nobody. */
  readonly tries: readonly UngrantedTry[];
  /** Writes that anew. */
  readonly record: (tries: readonly UngrantedTry[]) => void;
  /** How long a guest waits for etcd, in ms. */
  readonly patience: number;
}

/** Starts a host's daemon: its own code, from the lock files down to the questions for etcd. */
export function startDaemon(host: number, parts: LifeParts): Life {
  const { time, network, guests, kept } = parts;
  const loop = time.loop();
  const keys = KEYS;
  const names = new ClusterNames([{ name: "s", directory: SPACE }], (path) => path);
  const nonce = () => `n${parts.nonce()}`;
  const lineage = new Lineage(parts.lineage, nonce);
  const tries: UngrantedTries = new UngrantedTries(parts.tries, () => parts.record(tries.all));
  const clock = () => time.now;
  const markOf = ({ pid }: Owner) => ({ pid, start: 1 });
  const lives = (pid: number) => guests.lives(pid);
  const etcd = {
    unreachable: undefined,
    starting: false,
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
      network.send({ host, question, reply: once });
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
    note: kept[host],
    joinMs: () => 0,
    keep: (note) => {
      kept[host] = note;
      return undefined;
    },
    holds: () => guests.resources(host).length > 0,
    held: () => guests.resources(host).length,
    has: ({ id }) => guests.resources(host).some((resource) => resource.id === id),
    look: () => undefined,
    givesBack: () => orphans.leaving > 0,
    left: () => {},
    marksGone: () => {},
    gaveUp: () => {},
    reconcile: (epoch, done, past) =>
      new Reconciliation({
        session,
        keys,
        names,
        granted,
        resources: () => guests.resources(host),
        nameOfPaused: (path) => names.of(path),
        partWith: (path) =>
          guests.resources(host).some((each) => each.path === path && each.regrant === "parked") &&
          guests.askedFor(host, path),
        paused: () => guests.pausedOf(host),
        markOf,
        lives,
        turns,
        nonce: lineage.attempt,
        lineage,
        orphans,
        marks,
        tries,
        heldLocks: new HeldLocks({ session, keys, fencedLocks }),
        observer: {
          clusterUnknown: () => {},
          clusterUnknownShare: () => {},
          clusterKeyUnreadable: (wrong) => {
            throw new Violation(wrong);
          },
          clusterRegained: (resource) => {
            throw new Violation(`${resource.path} was in doubt`);
          },
        },
      }).run(epoch, done, past),
    observer: {
      clusterJoined: () => {},
      clusterTroubled: () => {},
      clusterRecovered: () => {},
      clusterCondemned: () => {},
      clusterFenced: () => {},
      clusterDoubtful: (resource) => guests.doubtful(host, resource),
      clusterLost: (reason) => {
        throw new Violation(`host ${host} has lost its session: ${reason}`);
      },
    },
  });
  const marks = new PausedMarks({ session, loop, lives });
  const wants = new Wants({ session, keys, nonce, loop, clock, wait: () => 5000 });
  const fencedLocks = new FencedLocks({ session, keys });
  const turns = new LockTurns({ session, keys, nonce, loop, marks, tries });
  const locks = new ClusterLocks({
    turns,
    names: new HolderNames({ session, keys, now: clock }),
    session,
    keys,
    lineage,
    loop,
    clock,
    lives,
    orphans: () => orphans,
    held: (key) => granted.holds(key),
    host: `host${host}`,
    wants,
    marks,
    tries,
    recorded: (go) => go(),
    fencedLocks,
    silent: () => {},
  });
  const orphans = new Orphans({
    give: (lock, done) => turns.give(lock, () => done()),
    busy: (key) => turns.busy(key),
    whenGone: (lock, gone) => turns.whenGone(lock, gone),
    loop,
    lives,
    lastWrites: { look: () => undefined, judge: (_, done) => done({ kind: "over" }) },
  });
  const granted = new GrantedLocks(tries);
  const keptLocks = new KeptLocks({
    granted,
    names,
    keys,
    turns,
    tries,
    markOf,
    now: clock,
    recorded: (go) => go(),
    askedFor: (path) => guests.askedFor(host, path),
    whenKnown: (ready) => session.whenLive(clock() + parts.patience, () => ready(undefined), ready),
    isMarked: (key) => marks.has(key),
    live: () => session.state.kind === "live",
    lost: () => session.withheld,
  });
  const files = new ClusterLockFiles({
    files: kernelFiles(),
    names,
    devices: undefined,
    mayHang: () => false,
    locks,
    turns,
    granted,
    kept: keptLocks,
    loop,
    clock,
    now: clock,
    patience: () => parts.patience,
    joining: () => 0,
    markOf,
    recorded: (go) => go(),
    whenKnown: (ready) => session.whenKnown(ready),
  });
  const life = { loop, session, files, kept: keptLocks, orphans };
  session.begin();
  session.whenKnown(() => keptLocks.known());
  new AskedLocks({ session, keys, granted, kept: keptLocks, loop }).begin();
  return life;
}

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
