import { EACCES, EPERM, strerror } from "../../os/errno.ts";
import type { LockRequest } from "../lockspace/lock_file.ts";
import type { LockFilesOutcome } from "../lockspace/lock_files.ts";
import type { Verdict } from "../lockspace/settler.ts";
import type { DeputyStarter } from "./deputy_starter.ts";
import type { FileOwner } from "./helper_protocol.ts";
import type { UserIds } from "./mount_tree.ts";
import { StorageClient } from "./storage_client.ts";
import type { StorageQueueParts } from "./storage_queue.ts";

/** Root, then whose a closed directory is, then whose the file is; more says nothing new. */
const MOST_ASKERS = 3;

type Denied = Extract<LockFilesOutcome, { kind: "failed" }>;

/**
 * Opens what root may not: a file on NFS whose server takes root for nobody (root_squash), and one on a FUSE
 * file system that serves nobody but the user who has mounted it. A deputy, a helper process that has become
 * that user, opens and locks it in the daemon's place and passes the descriptor on; what is done with that
 * afterwards is everybody's again, because locks and permissions go with the open file description.
 *
 * Only files that are there are opened so: none is ever made as another user.
 */
export class Deputies {
  readonly #parts: StorageQueueParts;
  readonly #starter: Pick<DeputyStarter, "start">;
  readonly #isRoot: () => boolean;
  /** By device, and by user. */
  readonly #clients = new Map<number | undefined, Map<string, StorageClient>>();

  /** @param isRoot whether the daemon could become anybody */
  constructor(parts: StorageQueueParts, starter: Pick<DeputyStarter, "start">, isRoot: () => boolean) {
    this.#parts = parts;
    this.#starter = starter;
    this.#isRoot = isRoot;
  }

  /** Every one that there was. */
  get all(): readonly StorageClient[] {
    return [...this.#clients.values()].flatMap((clients) => [...clients.values()]);
  }

  /** Those of a place. */
  at({ mount }: Pick<StorageClient, "mount">): readonly StorageClient[] {
    return [...this.#clients.get(mount?.device)?.values() ?? []];
  }

  /** Locks a file: as the daemon's user, and where that may not open it as somebody else. */
  lock(place: StorageClient, request: LockRequest, done: (outcome: LockFilesOutcome) => void): void {
    place.lock(request, (outcome) => {
      if (!isDenied(outcome) || request.autocreate || request.create === true || !this.#isRoot()) {
        return done(outcome);
      }
      this.#askNext(place, place, request, outcome, [], done);
    });
  }

  /** Brings to the medium what the page cache still has of a file. */
  sync(place: StorageClient, path: string, done: (verdict: Verdict) => void): void {
    place.sync(path, ({ verdict, denied }) => {
      if (!denied || !this.#isRoot()) return done(verdict);
      this.#whose(place, place, path, (owner) => {
        if (owner === undefined || owner.uid === 0) return done(verdict);
        this.#clientFor(place, owner).sync(path, (synced) => done(synced.verdict));
      });
    });
  }

  /** @param tried who has been refused, besides root */
  #askNext(
    place: StorageClient,
    refused: StorageClient,
    request: LockRequest,
    denied: Denied,
    tried: readonly UserIds[],
    done: (outcome: LockFilesOutcome) => void,
  ): void {
    const { path } = request;
    this.#whose(place, refused, path, (owner) => {
      const asked = owner === undefined || tried.length + 1 >= MOST_ASKERS || owner.uid === 0 ||
        tried.some(({ uid }) => uid === owner.uid);
      if (asked) return done({ ...denied, action: `${denied.action}${deniedText(owner, path, tried)}` });
      const deputy = this.#clientFor(place, owner);
      deputy.lock(request, (outcome) => {
        if (isDenied(outcome)) {
          return this.#askNext(place, deputy, request, outcome, [...tried, owner], done);
        }
        if (outcome.kind !== "storage") return done(outcome);
        const reason = `${
          strerror(denied.errno)
        } for root, and user ${owner.uid} could not be asked: ${outcome.reason}`;
        done({ ...outcome, reason });
      });
    });
  }

  /** Who may open a file that somebody was refused. */
  #whose(
    place: StorageClient,
    refused: StorageClient,
    path: string,
    done: (owner: FileOwner | undefined) => void,
  ): void {
    const { mount } = place;
    if (mount?.onlyFor === undefined) return refused.findOwner(path, done);
    done({ ...mount.onlyFor, path: mount.point });
  }

  #clientFor(place: StorageClient, ids: UserIds): StorageClient {
    const device = place.mount?.device;
    const clients = this.#clients.get(device) ?? new Map<string, StorageClient>();
    this.#clients.set(device, clients);
    const key = `${ids.uid} ${ids.gid}`;
    let client = clients.get(key);
    if (client === undefined) {
      const { uid, gid } = ids;
      const starter = this.#starter;
      client = new StorageClient(this.#parts, place.mount, {
        ids: { uid, gid },
        start: (user) => starter.start({ uid, gid }, user),
      });
      clients.set(key, client);
    }
    client.mount = place.mount;
    return client;
  }
}

function isDenied(outcome: LockFilesOutcome): outcome is Denied {
  return outcome.kind === "failed" && (outcome.errno === EACCES || outcome.errno === EPERM);
}

/** What follows the name of a file that nobody could open. */
function deniedText(owner: FileOwner | undefined, path: string, tried: readonly UserIds[]): string {
  const others = tried.map(({ uid }) => `user ${uid}`).join(" or ");
  if (others !== "") return `, neither as root nor as ${others}`;
  if (owner?.uid !== 0) return "";
  const what = owner.path === path ? "which" : `below ${owner.path}, which`;
  return `, ${what} is root's, and is closed to root here`;
}
