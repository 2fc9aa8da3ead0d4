import type { Owner } from "../../lockspace/owner.ts";
import type { ProcessMark } from "../../lockspace/owner_watch.ts";
import type { Resource } from "../../lockspace/resource.ts";
import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { reasonOf } from "../etcd/etcd.ts";
import type { GrantedLocks } from "../locks/granted_locks.ts";
import type { Conflict } from "../session/conflict.ts";
import type { Past } from "../session/past.ts";
import { listAll, PAGE } from "../session/list_all.ts";
import type { LockTurns } from "../locks/lock_turns.ts";
import { isClustersDoubt } from "../session/doubts.ts";
import type { HeldLocks } from "./held_locks.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { LostMarks, type PausedGuest } from "./lost_marks.ts";
import { WrittenMarks } from "./written_marks.ts";
import type { Lineage } from "../keys/lineage.ts";
import type { ClusterName, ClusterNames } from "../keys/names.ts";
import { decodeHolder, holderOf, type LockHolder } from "../keys/lock_holder.ts";
import { readable, readOrWhy, RecordError } from "../keys/record_fields.ts";
import { encodeRecord } from "../keys/records.ts";
import { type Orphans, orphanUse } from "../locks/orphans.ts";
import type { PausedMarks } from "../locks/paused_marks.ts";
import type { UngrantedTries } from "../locks/ungranted_tries.ts";
import type { ClusterSession } from "../session/session.ts";
import { type ClusterLock, type Epoch, MOVED, obstaclesOf, rewrite } from "../keys/transactions.ts";

/** A part of the list of what this host has is about so many keys: mostly one question is enough for it. */
const SPLIT = PAGE / 2;

/** What reconciliation works with. */
export interface ReconciliationParts {
  readonly session: Pick<ClusterSession, "id" | "ask" | "moved">;
  readonly keys: ClusterKeys;
  readonly names: ClusterNames;
  /** The name of a lock that a guest had which is paused, whose path may not be known any more. */
  readonly nameOfPaused: (path: string) => ClusterName | undefined;
  readonly granted: Pick<GrantedLocks, "of" | "adopt" | "drop">;
  readonly heldLocks: Pick<HeldLocks, "put">;
  /** Every lock of this host. */
  readonly resources: () => Iterable<Resource>;
  /** Guests that are paused, by the locks that libvirt has released for them: also those that are kept. */
  readonly paused: () => Iterable<PausedGuest>;
  /** Releases a lock with which no guest has gone on since it was paused. @returns whether it is one */
  readonly partWith: (path: string) => boolean;
  /** An owner's process as the daemon sees it. */
  readonly markOf: (owner: Owner) => ProcessMark;
  /** Whether a process lives, of which a lock's record tells. */
  readonly lives: (pid: number, start: number) => boolean;
  readonly turns: Pick<LockTurns, "busy" | "give">;
  readonly nonce: () => string;
  /** The daemons of which this one is. */
  readonly lineage: Pick<Lineage, "wrote">;
  /** Gets what is kept for processes of which this daemon knows nothing. */
  readonly orphans: Pick<Orphans, "add" | "forget">;
  /** Gets the marks of paused guests. */
  readonly marks: Pick<PausedMarks, "add">;
  readonly tries: Pick<UngrantedTries, "found">;
  readonly observer: ReconciliationObserver;
}

/** Told what does not agree. */
export interface ReconciliationObserver {
  /** The cluster has a lock of this host's of which the daemon knows nothing, and whose process lives. */
  clusterUnknown(key: string, holder: LockHolder): void;
  /**
   * The cluster has a share of this host's of which neither the daemon knows anything nor knew those that it
   * goes on for: who has it beside the process that its record names, or has had it since, nothing tells.
   */
  clusterUnknownShare(key: string, holder: LockHolder): void;
  /** etcd has a lock for this host that was in doubt because another one had it. */
  clusterRegained(resource: Resource): void;
  /** A key of this host's cannot be read: it stays, and grants nothing. @param wrong which, and why */
  clusterKeyUnreadable(wrong: string): void;
}

/**
 * Puts in order what etcd has of this host, right after a bump, when nothing of an earlier life can come any
 * more, and before anybody else is served: locks that were never granted go, locks that are held are put
 * there.
 */
export class Reconciliation {
  readonly #parts: ReconciliationParts;
  readonly #written: WrittenMarks;

  constructor(parts: ReconciliationParts) {
    this.#parts = parts;
    this.#written = new WrittenMarks(parts);
  }

  /**
   * @param done called once, with why it could not be done, or what others have
   * @param past what etcd can tell: where that is not all nobody knows who had a paused guest's lock
   */
  run(epoch: Epoch, done: (outcome: string | readonly Conflict[]) => void, past: Past): void {
    this.#list((listed) => {
      if (typeof listed === "string") return done(listed);
      // What etcd says of a time that it has lost proves nothing.
      const told = past === "known" || past === "first";
      const there = told ? [...listed.values()] : [];
      this.#parts.tries.found(new Set(there.map(({ value }) => value)));
      const conflicts: Conflict[] = [];
      try {
        const lost = new LostMarks(this.#parts);
        const parted = past === "lost" ? [] : lost.parted(listed);
        // Nobody has taken out of etcd what nobody has put there.
        const [unput, gone] = past === "first" ? [parted, []] : [[], parted];
        const marks = lost.of([...gone, ...told ? lost.overtaken(listed) : lost.leftBehind()]);
        const fresh = lost.fresh([...unput, ...told ? lost.unmarked(listed) : []]);
        const tasks = [
          ...this.#held(epoch, listed, conflicts),
          // Paused guests that do not go on before a person has said so.
          ...[...marks.values()].map((mark): Task => (done) => this.#written.put(epoch, mark, done)),
          ...fresh.map((mark): Task => (done) => this.#written.fresh(epoch, mark, done)),
        ];
        this.#unknown(listed, marks);
        sequence(tasks, (failure) => done(failure ?? conflicts));
      } catch (error) {
        if (!(error instanceof RecordError)) throw error;
        done(error.message);
      }
    });
  }

  /** What etcd has of this session, by the key of the lock. */
  #list(done: (found: Map<string, KeyValue> | string) => void): void {
    const { keys, session } = this.#parts;
    const { id } = session;
    listAll(session, keys.ownList(id), (found) => {
      if (typeof found === "string") return done(found);
      done(new Map(found.map((entry) => [keys.ofOwn(id, entry.key), entry])));
    }, this.#splits());
  }

  /** Some keys of what this host has, of thousands, by which the list of it is read in parts. */
  #splits(): string[] {
    const { keys, session, names, resources } = this.#parts;
    const some = [...resources()].filter((_, index) => index % SPLIT === SPLIT - 1);
    return some.flatMap(({ path, shared }) => {
      const name = names.of(path);
      return name === undefined ? [] : [keys.own(session.id, keys.lock(name, shared, session.id))];
    });
  }

  /** Every lock that this host has is in etcd, or gets there, where no other session has it. */
  *#held(epoch: Epoch, listed: Map<string, KeyValue>, conflicts: Conflict[]): Generator<Task> {
    const { keys, names, granted, turns, orphans, resources } = this.#parts;
    const session = this.#parts.session;
    for (const resource of [...resources()]) {
      const name = names.of(resource.path);
      const [first] = resource.holdings;
      if (name === undefined || first === undefined) continue;
      const key = keys.lock(name, resource.shared, session.id);
      const own = keys.own(session.id, key);
      const releasing = resource.state.kind === "releasing";
      const known = this.#known(listed.get(key), releasing);
      listed.delete(key);
      if (known !== undefined) {
        const there = { key, own, value: known.value };
        const ours = granted.of(resource.path);
        if (ours === undefined || ours.value === known.value || !releasing) {
          // Which device it is may not have been known before.
          orphans.forget(key);
          granted.adopt(resource.path, there);
          this.#certain(resource);
          if (resource.shared && !releasing) {
            yield (done) => this.#avow(epoch, resource, there, done);
          }
        } else {
          // etcd was restored to a state in which an earlier guest of this host had it.
          turns.give(there, () => {});
        }
        continue;
      }
      // It was being given back, and etcd has done so.
      if (releasing) continue;
      yield this.#put(epoch, resource, { key, own, name }, conflicts);
    }
  }

  /** Puts a lock of this host's into etcd, which has it not. */
  #put(
    epoch: Epoch,
    resource: Resource,
    { key, own, name }: { readonly key: string; readonly own: string; readonly name: ClusterName },
    conflicts: Conflict[],
  ): Task {
    const { keys, session, granted, heldLocks, turns, markOf, nonce } = this.#parts;
    const { path, shared } = resource;
    return (done) => {
      const [first] = resource.holdings;
      // Its guest has ended since the others were begun with.
      if (first === undefined || resource.state.kind === "releasing") return done(undefined);
      // The release of what this daemon had there must find it: it goes by its value. What it had in a
      // session that was fenced is nobody's.
      const had = granted.of(path);
      const earlier = had === undefined ? undefined : readable(() => decodeHolder(had));
      const record = earlier?.session === session.id ? earlier : {
        session: session.id,
        attempt: nonce(),
        ...holderOf(first.owner, markOf(first.owner), first.since),
      };
      // Whoever releases it from now on gives it back in etcd, behind this, whatever comes of it.
      granted.adopt(path, { key, own, value: encodeRecord(record) });
      const ours = { key, own, holder: record, obstacles: obstaclesOf(keys, name, shared) };
      heldLocks.put(epoch, ours, (outcome) => {
        switch (outcome.kind) {
          case "put":
            this.#certain(resource);
            return done(undefined);
          case "others":
            // Somebody has taken it out of the list by hand, which is noticed when it is looked at next.
            if (isSameGuest(outcome.by, record)) {
              const there = { key, own, value: encodeRecord(outcome.by) };
              // A release that has begun meanwhile goes by another record.
              if (resource.state.kind === "releasing") turns.give(there, () => {});
              else granted.adopt(path, there);
              this.#certain(resource);
              return done(undefined);
            }
            // Of a guest that is gone the release was under way, and may have come to its end in etcd.
            if (!this.#anyLives(resource)) {
              if (had === undefined) granted.drop(path);
              return done(undefined);
            }
            granted.drop(path);
            conflicts.push({ resource, session: outcome.by.session });
            return this.#mark(epoch, name, record, outcome.by, done);
          case "failed":
            return done(outcome.reason);
        }
      });
    };
  }

  /**
   * A share that another daemon has taken, which may have known other guests that have it, is one of this
   * daemon's from now on: should that one ever go on, it does not take it for one that nobody has.
   */
  #avow(
    epoch: Epoch,
    resource: Resource,
    there: ClusterLock,
    done: (failure: string | undefined) => void,
  ): void {
    const { session, granted, lineage, turns, nonce } = this.#parts;
    const { path } = resource;
    const holder = decodeHolder(there);
    if (lineage.wrote(holder)) return done(undefined);
    const lock = { ...there, value: encodeRecord({ ...holder, attempt: nonce() }) };
    session.ask(rewrite(epoch, lock, there.value), (answer) => {
      if (answer.kind !== "transaction") return done(reasonOf(answer));
      const { succeeded, results } = answer.result;
      if (!succeeded && session.moved(epoch, results)) return done(MOVED);
      const held = granted.of(path)?.value === there.value && resource.state.kind !== "releasing";
      // Where it was changed by hand, it stays what it is.
      if (succeeded && held) granted.adopt(path, lock);
      // Its last guest has ended meanwhile: what gives it back goes by the record of before.
      else if (succeeded) turns.give(lock, () => {});
      done(undefined);
    });
  }

  /**
   * An entry in the list of what this session has. Of one that cannot be read the lock's own key tells
   * whether the session has it; what is being given back goes as it is.
   */
  #known(entry: KeyValue | undefined, releasing: boolean): KeyValue | undefined {
    if (entry === undefined || releasing) return entry;
    return readable(() => decodeHolder(entry)) === undefined ? undefined : entry;
  }

  /** etcd has a lock for this host: what was in doubt about that is not any more. */
  #certain(resource: Resource): void {
    if (isClustersDoubt(resource.state)) this.#parts.observer.clusterRegained(resource);
  }

  /** Whether an owner of a lock lives: of a share it may be another one than the first. */
  #anyLives({ holdings }: Resource): boolean {
    const { lives, markOf } = this.#parts;
    return holdings.some(({ owner }) => {
      const { pid, start } = markOf(owner);
      return lives(pid, start);
    });
  }

  /** Others have the lock of a guest that lives: should it be paused, it is not to go on. */
  #mark(
    epoch: Epoch,
    name: ClusterName,
    holder: LockHolder,
    { attempt: _, ...used }: LockHolder,
    done: (failure: string | undefined) => void,
  ): void {
    const { session, keys } = this.#parts;
    const key = keys.paused(name, session.id, holder);
    const own = keys.own(session.id, key);
    this.#written.put(epoch, { key, own, value: encodeRecord({ ...holder, used }) }, done);
  }

  /** Whether guests share what has no name in the cluster now, and may have had one. */
  #hasNamelessShare(): boolean {
    const { names, resources } = this.#parts;
    return [...resources()].some(({ shared, path }) => shared && names.of(path) === undefined);
  }

  /**
   * What etcd has beside is kept until its process is gone and has nothing under way. Even a daemon whose
   * state was recovered whole does not know what one before it may have lost. A share that such a one has
   * taken is kept until somebody frees it, for others of this host may have it when the process has gone that
   * its record names. So is any as long as this host has a share of which it cannot be told what it is called
   * in the cluster, for it may be that.
   */
  #unknown(listed: Map<string, KeyValue>, handedOver: ReadonlyMap<string, ClusterLock>): void {
    const { session, lives, turns, orphans, marks, keys, lineage, observer } = this.#parts;
    const nameless = this.#hasNamelessShare();
    for (const [key, entry] of listed) {
      const lock = { key, own: entry.key, value: entry.value };
      const holder = readOrWhy(() => decodeHolder(entry));
      if (typeof holder === "string") {
        observer.clusterKeyUnreadable(holder);
        continue;
      }
      if (keys.isPaused(key)) {
        if (!handedOver.has(key)) marks.add(lock);
        continue;
      }
      // Where it is being taken or given back right now, the daemon knows of it.
      const busy = turns.busy(key);
      const use = nameless && keys.isShare(key) ? "shared" : orphanUse({ keys, lineage }, key, holder);
      if (use === "shared") {
        if (!busy) observer.clusterUnknownShare(key, holder);
        orphans.add(lock, holder, use);
        continue;
      }
      const lived = lives(holder.pid, holder.start);
      // A paused guest whose lock was handed over long ago does not hold it.
      const left = !busy && handedOver.has(keys.pausedOf(key, session.id, holder));
      if (lived && !busy && !left) observer.clusterUnknown(key, holder);
      // Should a share be got by what is under way, others may join it before it is given back behind that.
      if (keys.isShare(key) || (!left && (lived || !busy))) orphans.add(lock, holder, "alone");
      else turns.give(lock, () => {});
    }
  }
}

/** Whether two records are of one guest, of one session. */
function isSameGuest(one: LockHolder, other: LockHolder): boolean {
  return one.session === other.session && one.uuid === other.uuid && one.pid === other.pid &&
    one.start === other.start;
}

type Task = (done: (failure: string | undefined) => void) => void;

/** Does tasks, some at once; the first failure ends it. @param done called once */
function sequence(tasks: readonly Task[], done: (failure: string | undefined) => void): void {
  const AT_ONCE = 64;
  let next = 0;
  let under = 0;
  let failed: string | undefined;
  let going = false;
  const go = () => {
    // Not one from within the end of another: thousands may be over at once.
    if (going) return;
    going = true;
    while (failed === undefined && under < AT_ONCE && next < tasks.length) {
      const task = tasks[next++];
      under++;
      task?.((failure) => {
        under--;
        failed ??= failure;
        go();
      });
    }
    going = false;
    if (under === 0 && (failed !== undefined || next === tasks.length)) done(failed);
  };
  go();
}
