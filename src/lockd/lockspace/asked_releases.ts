import type { HeldResources } from "./held_resources.ts";
import type { LockDirectories } from "./lock_directories.ts";
import type { LockReleases } from "./lock_releases.ts";
import type { LockTableParts } from "./lock_table_parts.ts";
import { isHeldBy, type Owner, type OwnerKey, ownerKey } from "./owner.ts";
import type { PausedGuests } from "./paused_guests.ts";
import type { Done, HeldReport } from "./refusal.ts";
import type { Resource } from "./resource.ts";
import type { WaitingAsks } from "./waiting_asks.ts";

/** What judging an ask for a release works with. */
export interface AskedReleasesParts {
  readonly parts: {
    readonly observer: Pick<LockTableParts["observer"], "learnt">;
    readonly settler: Pick<LockTableParts["settler"], "isSettling" | "reasonOf">;
    readonly watch: Pick<LockTableParts["watch"], "hasEnded">;
    readonly patience: LockTableParts["patience"];
  };
  readonly directories: Pick<LockDirectories, "get">;
  readonly held: Pick<HeldResources, "owned">;
  /** Knows what was kept for its owner, who was told that it is released, before it was handed over. */
  readonly paused: Pick<PausedGuests, "parked">;
  readonly releases: Pick<LockReleases, "release">;
  readonly waiting: Pick<WaitingAsks, "add">;
  /** Whether an owner's process is being killed. */
  readonly isDying: (key: OwnerKey) => boolean;
  readonly report: (resource: Resource) => HeldReport;
}

/** Releases that owners ask for, which only they may have, and only while their lock guards nothing else. */
export class AskedReleases {
  readonly #with: AskedReleasesParts;

  constructor(parts: AskedReleasesParts) {
    this.#with = parts;
  }

  /** Takes an owner off; the last one takes the lock along. @param path of the lockspace */
  release(path: string, name: string, owner: Owner, done: Done): void {
    const { directories, held, paused, releases, isDying, report, parts } = this.#with;
    const { observer, settler, watch } = parts;
    const lockspace = directories.get(path);
    if (lockspace === undefined) return done({ kind: "lockspace-missing", path });
    const resource = lockspace.resources.get(name);
    if (resource === undefined) return done({ kind: "not-held", resource: name });
    // libvirt releases the first lock of a paused guest twice.
    const kept = resource.regrant === "parked" ||
      (resource.regrant === "leaving" && paused.parked.find(path, name, owner) !== undefined);
    if (kept) return done({ kind: "not-held", resource: name });
    // What could not be released is tried again.
    if (resource.regrant === "leaving" && resource.state.kind !== "doubtful") {
      return this.#awaitEnd(resource, owner, done);
    }
    held.owned.learn(owner, (changed) => observer.learnt(changed));
    const holding = resource.holdings.find((each) => isHeldBy(each.owner, owner));
    if (holding === undefined) {
      return done({ kind: "not-owner", resource: name, asker: owner, held: report(resource) });
    }
    // Its lock guards the disk until the process, which may still be writing, is gone.
    if (isDying(ownerKey(owner))) return done({ kind: "owner-dying", resource: name, pid: owner.pid });
    const key = ownerKey(holding.owner);
    // Nobody was told of its end yet, as on a busy host: then the lock goes when its last writes have landed.
    if (settler.isSettling(resource, key) || watch.hasEnded(key)) {
      const reason = settler.reasonOf(resource) ?? "its process is gone";
      return done({ kind: "settling", resource: name, reason });
    }
    releases.release(resource, holding, done);
  }

  /** A lock is being released already: as when a daemon was killed in it, and is asked once more by that. */
  #awaitEnd(resource: Resource, owner: Owner, done: Done): void {
    const { waiting, parts: { patience } } = this.#with;
    const { name } = resource;
    const own = resource.holdings.some((each) => isHeldBy(each.owner, owner));
    if (!own || resource.state.kind !== "releasing") return done({ kind: "not-held", resource: name });
    const late = () => done({ kind: "releasing", resource: name });
    waiting.add(resource, patience(), () => done(undefined), late);
  }
}
