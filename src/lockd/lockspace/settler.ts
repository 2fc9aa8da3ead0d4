import { shellQuoted } from "../../base/shell_quoted.ts";
import { guestName, type Holding, type OwnerKey, ownerKey } from "./owner.ts";
import type { Resource } from "./resource.ts";

/** What is known about the last writes of an owner whose process is gone. */
export type Verdict =
  /** They have landed. */
  | { readonly kind: "over" }
  /** Something of them is still under way: the lock stays until it is over. */
  | { readonly kind: "busy"; readonly reason: string }
  /** It cannot be told: the lock stays for the time that {@link SettlerParts.bound} says. */
  | {
    readonly kind: "unknown";
    readonly reason: string;
    /** Set when it is because a process has the file open, which may be anybody's. */
    readonly opener?: "seen";
  };

/** What a witness says. */
export type Testimony =
  | Verdict
  /** It cannot be told, for nobody has looked: who looks could not be had, and is not tried all the time. */
  | (Extract<Verdict, { kind: "unknown" }> & { readonly untried: true })
  /**
   * The process was seen while it lived, it was a QEMU without any disk on this host, and no QEMU that is
   * gone has a write under way here: if it has written, then over the network, which cannot be told.
   */
  | (Extract<Verdict, { kind: "unknown" }> & { readonly disks: "none" });

/** Finds out whether the writes of an owner whose process is gone are over. */
export interface Witness {
  /**
   * @param done called once, at once where that is cheap, else later; the resource is locked until then
   * @param unseen what an owner is taken for that nobody has seen while it lived; "anybody" when not given
   */
  ask(
    resource: Resource,
    holding: Holding,
    done: (verdict: Testimony) => void,
    unseen?: "anybody" | "QEMU",
  ): void;
}

/** A lock whose owner's process is gone, and which waits for its last writes. */
export interface Settling {
  readonly resource: Resource;
  readonly holding: Holding;
  /** Milliseconds of the monotonic clock. */
  readonly since: number;
  /** What the witness said last; undefined until it has answered once. */
  verdict: Testimony | undefined;
  /**
   * Since when nobody can tell whether the writes are over, likewise: the first of the last looks in a row by
   * which nobody could. Undefined before any, and while a write is known to be under way.
   */
  untold: number | undefined;
  /**
   * Milliseconds after which the lock goes in any case, Infinity when only an administrator lets it go;
   * undefined while a write is known to be under way.
   */
  left: number | undefined;
  /** The reason that the observer was told last. */
  told: string | undefined;
  /** Lets the lock go; undefined when it has gone. */
  over: (() => void) | undefined;
}

/** Told what keeps locks of owners that are gone. */
export interface SettleObserver {
  /** The lock does not go yet, or stays for another reason than before. */
  settling(settling: Settling): void;
  /** The time is up: the lock is given up although nobody knows whether the writes are over. */
  gaveUp(settling: Settling): void;
}

/** What a settler needs. */
export interface SettlerParts {
  readonly witness: Witness;
  readonly observer: SettleObserver;
  readonly after: (milliseconds: number, task: () => void) => unknown;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** How long a lock stays whose writes cannot be judged, in ms; Infinity: until it is freed by hand. */
  readonly bound: (resource: Resource) => number;
  /** Whether the guest of an owner has not run with what that has. */
  readonly hasNotRun: (holding: Holding) => boolean;
  /** Whether what a guest has written over the network counts as written when its process is gone. */
  readonly trustsNetworkDisks: () => boolean;
}

/** The witness is asked again after this time, in ms, and then after twice as long each time. */
const FIRST_WAIT_MS = 4;
const LONGEST_WAIT_MS = 250;
/** What is said of a lock until the witness has answered. */
const LOOKING = "its writes are being looked for";

/**
 * Keeps the locks of owners whose process is gone until their last writes have landed. A process that was
 * killed is gone at once, but a write that the kernel does for it (io_uring) may reach the disk seconds
 * later, when another guest has the lock.
 */
export class Settler {
  readonly #parts: SettlerParts;
  readonly #settling = new Map<Resource, Map<OwnerKey, Settling>>();

  constructor(parts: SettlerParts) {
    this.#parts = parts;
  }

  /** How many locks wait. */
  get size(): number {
    return this.#settling.size;
  }

  /** Whether a lock waits for the last writes of an owner. */
  isSettling(resource: Resource, key: OwnerKey): boolean {
    return this.#settling.get(resource)?.has(key) ?? false;
  }

  /** Whether any lock of an owner waits. */
  isWaitedFor(key: OwnerKey): boolean {
    if (this.#settling.size === 0) return false;
    return [...this.#settling.values()].some((owners) => owners.has(key));
  }

  /** Why a lock waits; undefined when it does not. */
  reasonOf(resource: Resource): string | undefined {
    const [settling] = this.#settling.get(resource)?.values() ?? [];
    if (settling === undefined) return undefined;
    const { verdict, left, holding } = settling;
    if (verdict === undefined || verdict.kind === "over") return LOOKING;
    return left === Infinity ? `${verdict.reason}; ${untilReleased(resource, holding)}` : verdict.reason;
  }

  /**
   * Waits for the last writes of an owner.
   *
   * @param over called once, at once when nothing is under way: the lock may go
   */
  settle(resource: Resource, holding: Holding, over: () => void): void {
    const settling: Settling = {
      resource,
      holding,
      since: this.#parts.clock(),
      verdict: undefined,
      untold: undefined,
      left: undefined,
      told: undefined,
      over,
    };
    const key = ownerKey(holding.owner);
    const owners = this.#settling.get(resource);
    if (owners === undefined) this.#settling.set(resource, new Map([[key, settling]]));
    else owners.set(key, settling);
    this.#ask(settling, FIRST_WAIT_MS);
  }

  /** Somebody else has taken the owner off the resource: nothing is asked of its file any more. */
  abandon(resource: Resource, key: OwnerKey): void {
    const settling = this.#settling.get(resource)?.get(key);
    if (settling !== undefined) this.#end(settling);
  }

  #ask(settling: Settling, wait: number): void {
    if (settling.over === undefined) return;
    const { witness, after, bound } = this.#parts;
    const { resource, holding } = settling;
    // Where nothing but an administrator would end it: libvirt asks for no other program's locks.
    const unseen = bound(resource) === Infinity ? "QEMU" : "anybody";
    witness.ask(resource, holding, (verdict) => {
      if (settling.over === undefined) return;
      if (this.#decide(settling, verdict)) return this.#end(settling);
      after(wait, () => this.#ask(settling, Math.min(wait * 2, LONGEST_WAIT_MS)));
    }, unseen);
  }

  #end(settling: Settling): void {
    const { resource, holding, over } = settling;
    const left = this.#settling.get(resource);
    left?.delete(ownerKey(holding.owner));
    if (left?.size === 0) this.#settling.delete(resource);
    settling.over = undefined;
    over?.();
  }

  /** @returns whether the lock may go */
  #decide(settling: Settling, verdict: Testimony): boolean {
    const { observer, clock, bound, hasNotRun, trustsNetworkDisks } = this.#parts;
    const isFirst = settling.verdict === undefined;
    settling.verdict = verdict;
    if (verdict.kind === "over") return true;
    if (verdict.kind === "unknown" && bound(settling.resource) === Infinity) {
      // The target of a migration that was refused a lock: its source must not wait for a person.
      if (hasNotRun(settling.holding)) return true;
      if ("disks" in verdict && trustsNetworkDisks()) return true;
    }
    if (verdict.kind === "busy") settling.untold = settling.left = undefined;
    else {
      // From the first such look on, not from the end of the guest: one that took long, as on a host that is
      // very busy, may be the first one, and the only one that has failed.
      settling.untold ??= clock();
      const left = bound(settling.resource) - (clock() - settling.untold);
      if (left <= 0 && !("untried" in verdict)) {
        settling.left = left;
        observer.gaveUp(settling);
        return true;
      }
      settling.left = Math.max(left, 0);
    }
    // Whoever only one look has seen may have had the file open for an instant: nobody needs to know.
    if (isFirst || settling.told === verdict.reason) return false;
    settling.told = verdict.reason;
    observer.settling(settling);
    return false;
  }
}

/** What an administrator can do where nothing else tells whether the last writes of a guest have landed. */
export function untilReleased({ path }: Pick<Resource, "path">, { owner }: Holding): string {
  return "other hosts use the disk, so it stays until somebody says that nothing of that guest is written any more: " +
    `virtlockd release ${shellQuoted(path)} --force --guest ${shellQuoted(guestName(owner))}`;
}
