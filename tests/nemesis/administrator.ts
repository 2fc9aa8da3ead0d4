import type { LockEntry } from "../../src/lockd/status/status_document.ts";
import type { Etcd } from "../support/etcd.ts";
import type { History } from "./history.ts";
import type { NemesisHost } from "./nemesis_host.ts";

const PREFIX = "/virtlockd/test/";
/** It looks at everything so often, in ms. */
const LOOK_MS = 3000;

/**
 * A person, who does the one thing that docs/cluster.md leaves to people here: frees shares that etcd has and
 * of which their host knows nothing, as after a restore, when all guests have gone. It is counted in the
 * history. Every lock that is not shared has to go by itself.
 */
export class Administrator {
  readonly #etcd: Etcd;
  readonly #hosts: readonly NemesisHost[];
  readonly #history: History;
  #looked = -Infinity;

  constructor(etcd: Etcd, hosts: readonly NemesisHost[], history: History) {
    this.#etcd = etcd;
    this.#hosts = hosts;
    this.#history = history;
  }

  /** Frees what can be freed now. What does not work is done the next time. */
  async freeShares(): Promise<void> {
    if (performance.now() - this.#looked < LOOK_MS) return;
    this.#looked = performance.now();
    const sessions = await this.#records<{ host: string }>("session/");
    for (const [key, { session }] of await this.#records<{ session: string }>("share/")) {
      const host = this.#hosts.find(({ name }) => name === sessions.get(session)?.host);
      const [, resource = ""] = key.split("/");
      if (host === undefined || !await this.#isUnknown(host, resource)) continue;
      const args = ["release", resource, "--host", session, "--force", "--yes"];
      const { code } = await host.command("cluster", ...args);
      if (code === 0) this.#history.add("share freed by hand", { host: host.name, resource });
    }
  }

  /** Whether a host says that etcd has something of it that it does not know, and does not know this. */
  async #isUnknown(host: NemesisHost, resource: string): Promise<boolean> {
    if (((await host.status())?.unknown ?? 0) === 0) return false;
    const { code, stdout } = await host.command("locks", "--json");
    const locks: readonly LockEntry[] = code === 0 ? JSON.parse(stdout) : [];
    return code === 0 && !locks.some((lock) => lock.resource === resource);
  }

  /** By their keys, without what all of a kind have in common; none when etcd cannot be reached. */
  async #records<T>(kind: string): Promise<ReadonlyMap<string, T>> {
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
}
