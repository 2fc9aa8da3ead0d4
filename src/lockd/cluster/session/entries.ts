import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { decodeEntry, type EntryRecord } from "../keys/entry_record.ts";
import type { MetaRecord } from "../keys/meta_record.ts";

/** A host that has put something into a cluster that is closed. */
export interface Entry extends EntryRecord {
  /** The host's id. */
  readonly host: string;
}

/** Who has put in what it has, in one round. */
export class Entries {
  readonly #entries: readonly Entry[];
  readonly #meta: MetaRecord;

  /**
   * @param found what is below {@link ClusterKeys.entries}
   * @throws RecordError when that is nothing that this daemon understands
   */
  constructor(keys: Pick<ClusterKeys, "hostOfEntry">, found: readonly KeyValue[], meta: MetaRecord) {
    this.#meta = meta;
    this.#entries = found.map((entry) => ({ ...decodeEntry(entry), host: keys.hostOfEntry(entry.key) }))
      .filter(({ round }) => round === meta.round);
  }

  /** Whether a host may still give back what etcd has of it: it is expected, and has not looked at that. */
  mayGiveBack({ host, name }: { readonly host: string; readonly name: string }): boolean {
    const { expect } = this.#meta;
    if (expect.length > 0 && !expect.includes(host) && !expect.includes(name)) return false;
    return !this.#entries.some((entry) => entry.host === host);
  }

  /** Ids of the hosts that have looked at what etcd has of them. */
  get hosts(): ReadonlySet<string> {
    return new Set(this.#entries.map(({ host }) => host));
  }

  /** What the cluster waits for; undefined: it may be opened. */
  get awaited(): string | undefined {
    const { expect } = this.#meta;
    if (expect.length === 0) return "nobody has said which hosts it has";
    const settled = this.#entries.filter(({ state }) => state === "settled");
    const missing = [];
    const alone = new Map<string, string>();
    for (const each of expect) {
      const named = settled.filter(({ host, name }) => host === each || name === each);
      // Two of one name, as copies of one disk have it: which of them is meant only the id tells.
      if (named.length > 1 && !named.some(({ host }) => host === each)) {
        return `${named.length} hosts call themselves ${each}: name them by their ids, ${
          named.map(({ host }) => host).join(" and ")
        }`;
      }
      if (named.length === 0) missing.push(each);
      const [only, second] = named;
      if (only === undefined || second !== undefined) continue;
      // The id of one may be the name of another, which has not come yet and may be meant.
      const before = alone.get(only.host);
      if (before !== undefined) return oneHost(before, each, only.host);
      alone.set(only.host, each);
    }
    return missing.length === 0 ? undefined : `it waits for ${missing.join(", ")}`;
  }
}

function oneHost(one: string, other: string, host: string): string {
  return `${one} and ${other} are one host so far (id ${host}): if another one is meant it waits for that, else name ` +
    "each host once";
}

/** Why nothing new is locked in a cluster that is not open, and what to do. */
export function closedText({ phase, why }: MetaRecord, awaited: string): string {
  switch (phase) {
    case "forming": {
      const text =
        `the cluster is not open yet, ${awaited}: 'virtlockd cluster open --expect HOST,...' names every host ` +
        "that uses its disks";
      return why === "" ? text : `${text} (${why})`;
    }
    case "recovering":
      return `the cluster is being recovered, ${awaited}: 'virtlockd cluster recover --expect HOST,...' names every ` +
        `host that uses its disks (${why})`;
    case "open":
      return "the cluster is open";
  }
}

/** Why a host has not put in what it has, and what to do when it does not go on by itself. */
export const GIVES_BACK =
  "this host gives back locks of guests that are gone, whose last writes may still come ('virtlockd cluster locks' " +
  "shows them; 'virtlockd cluster release NAME --host HOST --force' frees one of which it is certain)";
