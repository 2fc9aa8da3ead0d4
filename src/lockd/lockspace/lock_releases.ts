import { invariant } from "../../base/invariant.ts";
import { takeOut } from "../../base/lists.ts";
import type { HeldResources } from "./held_resources.ts";
import type { KernelLocks } from "./kernel_locks.ts";
import { isMissing } from "./lock_record.ts";
import type { LockTableParts } from "./lock_table_parts.ts";
import { type Holding, ownerKey } from "./owner.ts";
import type { PausedGuests } from "./paused_guests.ts";
import type { Done } from "./refusal.ts";
import type { Resource } from "./resource.ts";
import type { WaitingAsks } from "./waiting_asks.ts";

/** A guest that is paused has released all of its locks after this time, in ms. */
const LET_GO_MS = 3000;

/** What releasing works with. */
export interface LockReleasesParts {
  readonly parts: Pick<
    LockTableParts,
    "files" | "observer" | "guard" | "settler" | "watch" | "others" | "loop"
  >;
  readonly held: HeldResources;
  readonly kernel: KernelLocks;
  readonly paused: PausedGuests;
  readonly waiting: WaitingAsks;
}

/** Takes owners off resources; the last one takes the kernel lock along. */
export class LockReleases {
  readonly #with: LockReleasesParts;

  constructor(parts: LockReleasesParts) {
    this.#with = parts;
  }

  /**
   * Takes an owner off that has asked for that. Where other hosts lock the same, a lock of a guest that is
   * paused stays until somebody else asks for it: the guest can go on then whatever has become of the others.
   */
  release(resource: Resource, holding: Holding, done: Done): void {
    const { paused, waiting, parts: { others, observer, loop } } = this.#with;
    const kept = others?.keeps(resource.path) === true && resource.holdings.length === 1 &&
      resource.state.kind === "held" && this.#lives(holding);
    if (!kept) return this.takeOff(resource, holding, false, done);
    resource.regrant = "parked";
    if (!resource.shared) paused.released(resource, holding.owner);
    observer.kept(resource);
    done(undefined);
    waiting.wake(resource);
    loop.after(LET_GO_MS, () => this.#letGo(resource, holding));
  }

  /** Whose guest has other locks that it was not paused for has let the disk go: nobody keeps that for it. */
  #letGo(resource: Resource, { owner }: Holding): void {
    const { held } = this.#with;
    if (!held.has(resource) || resource.regrant !== "parked") return;
    const runs = held.owned.of(ownerKey(owner)).some(({ regrant, state }) =>
      regrant === undefined && state.kind === "held"
    );
    if (runs) this.handOver(resource);
  }

  /** Somebody else asks for a lock that is kept: it is released, which nothing takes back. */
  handOver(resource: Resource): void {
    const [holding] = resource.holdings;
    invariant(holding !== undefined, "A lock is handed over that nobody has");
    resource.regrant = "leaving";
    this.#with.parts.observer.leaving(resource);
    this.takeOff(resource, holding, !this.#lives(holding), () => {}, false);
  }

  #lives({ owner }: Holding): boolean {
    return this.#with.parts.watch.processOf(ownerKey(owner)) !== undefined;
  }

  /**
   * @param force the owner's process is gone: the lock goes even if its file cannot be unlinked
   * @param waits whether somebody waits for the answer, who is told when slow storage takes its time
   */
  takeOff(resource: Resource, holding: Holding, force: boolean, done: Done, waits = !force): void {
    if (resource.holdings.length > 1) {
      this.#removeHolding(resource, holding);
      return done(undefined);
    }
    if (resource.state.kind === "releasing") return done({ kind: "releasing", resource: resource.name });
    const { handle, path, shared, autocreate } = resource;
    const { files, observer, others } = this.#with.parts;
    // Nobody but other hosts has to know.
    const paused = others === undefined || shared || !this.#lives(holding) ? undefined : holding.owner;
    if (handle.kind === "none") {
      // There is nothing to give up: whoever is taking it finds that it is not wanted any more.
      this.#with.kernel.closePlace(handle);
      this.#removeHolding(resource, holding);
      this.#parked(resource, holding, force);
      others?.gone(path, paused);
      return done(undefined);
    }
    const { fd, lock, identity } = handle;
    // The file of a lost one may be locked by somebody else, who relies on its name.
    const unlinked = autocreate && !isMissing(resource.state);
    if (force ? others !== undefined : others?.covers(path) === true) this.#goes(resource);
    resource.state = { kind: "releasing" };
    let answered = false;
    const answer: Done = (refusal) => {
      if (!answered) done(refusal);
      answered = true;
    };
    const slow = waits ? answer : () => {};
    const living = paused === undefined ? {} : { paused };
    const request = { path, fd, lock, shared, autocreate: unlinked, force, ...living };
    files.unlock(request, identity, slow, (failure) => {
      if (failure !== undefined) observer.troubled(resource, failure);
      if (failure !== undefined && !failure.released) {
        resource.state = { kind: "doubtful", reason: failure.action };
        return answer(failure);
      }
      this.#released(resource, holding, force);
      answer(undefined);
    });
  }

  /**
   * A lock is being released, by an owner that is paused, or by one that is gone and whose last writes have
   * landed. Other hosts are told as soon as they can be, and may have it from then on. A daemon that comes in
   * between does not know whether they were told: it must not keep the lock for the owner, nor judge once
   * more what it has not seen the owner write.
   */
  #goes(resource: Resource): void {
    if (resource.regrant === "leaving" || resource.state.kind !== "held") return;
    resource.regrant = "leaving";
    this.#with.parts.observer.leaving(resource);
  }

  /** A parked lock that others share too: whoever joins takes the place of its owner. */
  replace(resource: Resource): void {
    const [parked] = resource.holdings;
    invariant(parked !== undefined && resource.holdings.length > 1, "A parked owner has nobody in its place");
    resource.regrant = undefined;
    this.#removeHolding(resource, parked);
    this.#with.parts.observer.givenBack(resource);
  }

  /** The kernel lock has gone. */
  #released(resource: Resource, holding: Holding, force: boolean): void {
    const { guard } = this.#with.parts;
    // Meanwhile it may have become known who the owner is.
    const last = resource.holdings[0] ?? holding;
    this.#removeHolding(resource, last);
    this.#parked(resource, last, force);
    // Meanwhile it may have been made a POSIX lock.
    const { handle } = resource;
    if (handle.kind === "file" && handle.lock === "posix") guard.unprotect(handle.identity);
  }

  /** A guest that is paused must not go on over what others write by its lock. */
  #parked(resource: Resource, { owner }: Holding, force: boolean): void {
    if (!force && !resource.shared) this.#with.paused.released(resource, owner);
  }

  #removeHolding(resource: Resource, holding: Holding): void {
    const { held, waiting, parts: { settler, observer } } = this.#with;
    takeOut(resource.holdings, holding);
    if (held.owned.remove(holding.owner, resource)) settler.abandon(resource, ownerKey(holding.owner));
    const last = resource.holdings.length === 0;
    if (last) held.remove(resource);
    observer.released(resource, holding.owner, last);
    waiting.wake(resource);
  }
}
