import type { LockEntry } from "../../src/lockd/status/status_document.ts";
import type { Etcd } from "../support/etcd.ts";
import type { NemesisHost } from "./nemesis_host.ts";

const PREFIX = "/virtlockd/test/";
/** By then the writes of a guest that has ended have landed: a slow one's take 1.4 s. */
const WRITTEN_MS = 10_000;
/** It looks at everything so often, in ms. */
const LOOK_MS = 3000;

/** A lock as it stands in etcd. */
interface Record {
  readonly session: string;
  readonly pid: number;
}

/**
 * What a person does with locks whose last writes a daemon cannot judge: daemons of these runs are in user
 * namespaces, and do not see all processes, as QEMUs of others on this machine. Of a lock whose guest has
 * ended a while ago it says that nothing is written any more.
 */
export class Administrator {
  readonly #etcd: Etcd;
  readonly #hosts: readonly NemesisHost[];
  /** When a lock's guest was first found to have ended, by what tells that lock from every other one. */
  readonly #ended = new Map<string, number>();
  #looked = -Infinity;

  constructor(etcd: Etcd, hosts: readonly NemesisHost[]) {
    this.#etcd = etcd;
    this.#hosts = hosts;
  }

  /**
   * Frees what can be freed now. What does not work is done the next time.
   *
   * @param guests "all gone": shares too are nobody's then of which the daemon knows nothing
   */
  async free(guests: "all gone" | "some left"): Promise<void> {
    if (performance.now() - this.#looked < LOOK_MS) return;
    this.#looked = performance.now();
    const known = new Set<string>();
    for (const host of this.#hosts) {
      const { name } = host;
      const { code, stdout } = await host.command("locks", "--json");
      // Nothing is known of what it has.
      if (code !== 0) return;
      const locks: LockEntry[] = JSON.parse(stdout);
      for (const { state, resource, holders, id } of locks) {
        known.add(`${name} ${resource}`);
        // Of a guest that ended while its daemon was killed nothing may tell that.
        const stays = state === "settling" || holders.some(({ process }) => process === "unjudged");
        if (!stays || !this.#isOver(`${name} ${id}`, holders.map(({ pid }) => pid))) continue;
        for (const { domain, uuid } of holders) {
          await host.command("release", resource, "--uuid", uuid, "--force", "--guest", domain, "--yes");
        }
      }
    }
    await this.#freeUnknown("lock/", known);
    if (guests === "all gone") await this.#freeUnknown("share/", known);
  }

  /** Those that etcd has of a host whose daemon says that it knows nothing of their guests. */
  async #freeUnknown(kind: "lock/" | "share/", known: ReadonlySet<string>): Promise<void> {
    const sessions = await this.#records<{ host: string }>("session/");
    for (const [key, { session, pid }] of await this.#records<Record>(kind)) {
      const host = sessions.get(session)?.host ?? "";
      const [, resource = ""] = key.split("/");
      const unknown = !known.has(`${host} ${resource}`) && this.#isOver(`${key} ${session} ${pid}`, [pid]);
      const there = this.#hosts.find(({ name }) => name === host);
      // Of a lock that should not be there the daemon does not say so: that one has to be found.
      if (!unknown || there === undefined || ((await there.status())?.unknown ?? 0) === 0) continue;
      await there.command("cluster", "release", resource, "--host", session, "--force", "--yes");
    }
  }

  /** By their keys, without what all of a kind have in common. */
  async #records<T>(kind: string): Promise<Map<string, T>> {
    try {
      const found = await this.#etcd.keys(`${PREFIX}${kind}`);
      return new Map(
        [...found].map(([key, value]) => [key.slice(PREFIX.length + kind.length), JSON.parse(value) as T]),
      );
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      return new Map();
    }
  }

  /** Whether processes have ended, and that so long ago that their writes have landed. */
  #isOver(lock: string, pids: readonly number[]): boolean {
    const now = performance.now();
    if (pids.some(lives)) this.#ended.delete(lock);
    else if (!this.#ended.has(lock)) this.#ended.set(lock, now);
    return now - (this.#ended.get(lock) ?? now) > WRITTEN_MS;
  }
}

function lives(pid: number): boolean {
  try {
    Deno.statSync(`/proc/${pid}`);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
