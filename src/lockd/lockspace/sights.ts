import type { Timer } from "../../chassis/event/event_loop.ts";
import { ESRCH } from "../../os/errno.ts";
import { readProcess } from "../../os/process_state.ts";
import type { FileSys } from "../../os/sys.ts";
import { type OwnerKey } from "./owner.ts";
import { lookAt, type Sight } from "./written_files.ts";

/**
 * After a grant an owner is looked at again after these times, in ms: QEMU opens and activates its disks
 * around a grant.
 */
const LOOK_AGAIN_MS: readonly number[] = [1000, 10_000, 60_000];
/**
 * A QEMU that has its own lock on no file at its first look, because it activates its disks only when the
 * guest has come over from another host, is looked at again at these intervals too, in ms.
 */
const LOOK_SOON_MS: readonly number[] = [50, 50, 100, 200, 400];
/** So often one is looked at after that which has not opened all that it got, in ms. */
const LOOK_ON_MS = 60_000;
const TICK_MS = 1000;
/** So many owners are looked at in one turn of the loop, after a start with many of them. */
const MOST_LOOKS = 32;
const NEXT_LOOKS_MS = 20;

/** Of a process that could not use what it got. */
const NOTHING: Sight = { qemu: false, files: [] };

/**
 * What a look has seen: nothing of a process that was gone or on its way out, and nothing that counts of one
 * that has ended before the look did, for another process may have its pid by then.
 */
type Look = Sight | "gone" | "ended";

/** An owner that is looked at. */
interface Seen {
  readonly pid: number;
  sight: Sight | undefined;
  /** Index into {@link LOOK_AGAIN_MS} of the next look. */
  next: number;
  /** When it is due, in ms of the monotonic clock. */
  due: number;
  /** Whether it has got something since it was seen last: libvirt asks for a disk before QEMU opens it. */
  partial: boolean;
  /**
   * Of how many more files it had QEMU's own lock than it had disks, when it had opened all of these at its
   * start: of the variables of its firmware, say. Undefined until then.
   */
  spare: number | undefined;
  /** How often it has got something. */
  grants: number;
}

/** What the sights need. */
export interface SightsParts {
  readonly sys: Parameters<typeof lookAt>[0] & Pick<FileSys, "open">;
  readonly loop: {
    after(milliseconds: number, task: () => void): Pick<Timer, "cancel">;
    defer(task: () => void): void;
  };
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** Pid of an owner's process as the daemon sees it; undefined when it is not watched. */
  readonly pidOf: (key: OwnerKey) => number | undefined;
  /** Whether the kernel says that an owner's process is still there: its pid is no other one's then. */
  readonly lives: (key: OwnerKey) => boolean;
  /** Whether an owner's process is known to have ended. */
  readonly hasEnded: (key: OwnerKey) => boolean;
  /** Whether an owner has anything. */
  readonly owns: (key: OwnerKey) => boolean;
  /** How many disks an owner has; a lease is none. */
  readonly disksOf: (key: OwnerKey) => number;
}

/**
 * What owners' processes have open for writing, seen while they live: when one is gone it cannot be asked any
 * more. Looked at behind the reply to a grant, never on its way.
 */
export class Sights {
  readonly #parts: SightsParts;
  readonly #seen = new Map<OwnerKey, Seen>();
  #timer: Pick<Timer, "cancel"> | undefined;

  constructor(parts: SightsParts) {
    this.#parts = parts;
  }

  /** What was seen of an owner; undefined when nothing was. */
  of(key: OwnerKey): Sight | undefined {
    const { sight, partial } = this.#seen.get(key) ?? { sight: undefined, partial: false };
    return sight === undefined || !partial ? sight : { ...sight, partial };
  }

  /**
   * An owner has got a lock, and has not been told.
   *
   * @param soon "at once": before it is told; "later": when there is time
   * @param only whether it has nothing else
   */
  granted(key: OwnerKey, soon: "at once" | "later" = "later", only = false): void {
    const { loop, clock, pidOf, hasEnded } = this.#parts;
    const seen = this.#seen.get(key);
    if (seen !== undefined) {
      seen.grants++;
      seen.partial = true;
      seen.next = 0;
      seen.due = clock() + (LOOK_AGAIN_MS[0] as number);
      return this.#wind();
    }
    const pid = pidOf(key);
    if (pid === undefined) {
      // It has ended before it could use what it has got.
      if (only && hasEnded(key)) {
        this.#seen.set(key, {
          pid: 0,
          sight: NOTHING,
          next: LOOK_AGAIN_MS.length,
          due: Infinity,
          partial: false,
          spare: undefined,
          grants: 1,
        });
      }
      return;
    }
    const first: Seen = {
      pid,
      sight: undefined,
      next: -1,
      due: 0,
      partial: false,
      spare: undefined,
      grants: 1,
    };
    this.#seen.set(key, first);
    if (soon === "later") return loop.defer(() => this.#first(key, first));
    if (this.#first(key, first) === "gone" && only && this.#isEnding(pid)) first.sight = NOTHING;
  }

  #first(key: OwnerKey, first: Seen): Look {
    const look = this.#look(key, first);
    if (guardedIn(first.sight) === 0) this.#lookSoon(key, first, first.sight, 0);
    return look;
  }

  /** Whether a process does nothing of its own again: it is gone, or its last thread is on its way out. */
  #isEnding(pid: number): boolean {
    const { sys } = this.#parts;
    const state = readProcess(sys, pid);
    if (typeof state === "number") return state === -ESRCH;
    const threads = sys.listDirectory(`/proc/${pid}/task`);
    return state.exiting && typeof threads !== "number" && threads.length === 1;
  }

  /** What an earlier image of the daemon has seen of an owner that is gone by now. */
  restore(key: OwnerKey, pid: number, sight: Sight): void {
    const { partial = false } = sight;
    const next = LOOK_AGAIN_MS.length;
    this.#seen.set(key, { pid, sight, next, due: Infinity, partial, spare: undefined, grants: 1 });
  }

  /**
   * An owner that an earlier life of the daemon has granted something: it is looked at when there is time.
   *
   * @param age how long ago it was granted something last, in ms
   */
  resume(key: OwnerKey, age: number): void {
    const pid = this.#parts.pidOf(key);
    if (pid === undefined || this.#seen.has(key)) return;
    // It may not have opened yet what it got right before the last life ended. Clocks may be set back.
    const young = age < (LOOK_AGAIN_MS[0] as number);
    this.#seen.set(key, {
      pid,
      sight: undefined,
      next: young ? -1 : 0,
      due: this.#parts.clock(),
      partial: true,
      spare: undefined,
      grants: 1,
    });
    this.#wind(NEXT_LOOKS_MS);
  }

  /** An owner's process is about to end: the last chance to look. */
  dying(key: OwnerKey): void {
    const seen = this.#seen.get(key);
    if (seen !== undefined) this.#look(key, seen);
  }

  /** Nothing is left of an owner. */
  forget(key: OwnerKey): void {
    this.#seen.delete(key);
  }

  #look(key: OwnerKey, seen: Seen): Look {
    const { clock } = this.#parts;
    const now = clock();
    const look = this.#lookAt(key, seen);
    if (typeof look === "object") {
      // One that is ended early may just be opening what it was granted.
      if (seen.next >= 0 && now >= seen.due) this.#settle(key, seen, look);
      seen.sight = look;
    }
    seen.next++;
    seen.due = now + (LOOK_AGAIN_MS[seen.next] ?? (seen.partial ? LOOK_ON_MS : Infinity));
    this.#wind();
    return look;
  }

  #lookAt(key: OwnerKey, { pid }: Seen): Look {
    const { sys, lives } = this.#parts;
    // Of a process that is on its way out less is seen than before.
    const sight = lookAt(sys, pid);
    if (sight === undefined) return "gone";
    // When it had ended by then another one may have its pid, who writes nothing of it.
    return lives(key) ? sight : "ended";
  }

  /**
   * A while after a grant: what was seen is all that a process writes, if it has opened what it got. A QEMU
   * may open a disk that is attached at any time, as on a busy host, or where the storage hangs.
   */
  #settle(key: OwnerKey, seen: Seen, sight: Sight): void {
    const spare = guardedIn(sight) - this.#parts.disksOf(key);
    if (spare >= 0) seen.spare ??= spare;
    seen.partial = sight.qemu && spare < (seen.spare ?? 0);
  }

  /**
   * Looks on until a QEMU has activated its disks. What is seen counts when two looks have seen the same:
   * the first may have come between two disks, and the writes of the second would be missed.
   */
  #lookSoon(key: OwnerKey, seen: Seen, before: Sight | undefined, looks: number): void {
    const wait = LOOK_SOON_MS[looks];
    if (wait === undefined || before?.qemu !== true) return;
    const { loop, owns, disksOf } = this.#parts;
    const { grants } = seen;
    loop.after(wait, () => {
      if (this.#seen.get(key) !== seen || !owns(key)) return;
      // It has got another disk since it is active, as by hot-plug, and opens that later: the look after a
      // while tells.
      if (guardedIn(before) > 0 && seen.grants !== grants) return;
      const look = this.#lookAt(key, seen);
      const sight = typeof look === "object" ? look : undefined;
      const guarded = guardedIn(sight);
      if (guarded > 0 && guarded === guardedIn(before) && guarded >= disksOf(key)) {
        seen.sight = sight;
        seen.partial = false;
      } else this.#lookSoon(key, seen, sight, looks + 1);
    });
  }

  #wind(wait = TICK_MS): void {
    this.#timer ??= this.#parts.loop.after(wait, () => this.#tick());
  }

  #tick(): void {
    const { clock, owns } = this.#parts;
    this.#unwind();
    const now = clock();
    let looks = 0;
    for (const [key, seen] of this.#seen) {
      if (!owns(key)) this.#seen.delete(key);
      else if (seen.due > now) {
        if (seen.due !== Infinity) this.#wind();
      } else if (looks++ < MOST_LOOKS) this.#look(key, seen);
    }
    if (looks <= MOST_LOOKS) return;
    this.#unwind();
    this.#wind(NEXT_LOOKS_MS);
  }

  #unwind(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}

/** Of how many files a process has QEMU's own lock. */
function guardedIn(sight: Sight | undefined): number {
  return sight?.files.filter(({ guard }) => guard !== undefined).length ?? 0;
}
