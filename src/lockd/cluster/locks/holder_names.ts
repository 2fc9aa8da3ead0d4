import type { Answer } from "../../../etcd/wire/link_messages.ts";
import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import type { ForeignHolder } from "../../lockspace/refusal.ts";
import type { ClusterKeys } from "../keys/keys.ts";
import { decodeHost, decodeSilence } from "../keys/host_record.ts";
import type { LockHolder } from "../keys/lock_holder.ts";
import { readable } from "../keys/record_fields.ts";
import { encodeRecord } from "../keys/records.ts";
import { decodeSession } from "../keys/session_record.ts";
import type { ClusterSession } from "../session/session.ts";
import { isSameStart } from "../keys/session_id.ts";
import { read } from "../keys/transactions.ts";

/** A host of the cluster that has a lock, as a refusal names it. */
export type NamedHolder = Extract<ForeignHolder, { kind: "host" }>;

/** What naming holders needs. */
export interface HolderNamesParts {
  readonly session: Pick<ClusterSession, "ask">;
  readonly keys: Pick<ClusterKeys, "session" | "host" | "silence">;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/**
 * Says whose a lock is, and since when nothing is heard of that host. Whoever notices first that a host is
 * silent writes down when, for all: etcd does not keep when a lease ended. The host takes that away when it
 * writes its session anew. It tells people, and no more.
 */
export class HolderNames {
  readonly #parts: HolderNamesParts;

  constructor(parts: HolderNamesParts) {
    this.#parts = parts;
  }

  /** @param shared whether its guests share the lock */
  name(holder: Omit<LockHolder, "attempt">, shared: boolean, done: (by: NamedHolder) => void): void {
    const { session, keys } = this.#parts;
    const { domain, uuid, pid, since } = holder;
    const told = (host: string, silentSince?: number) =>
      done({
        kind: "host",
        host,
        ...silentSince === undefined ? {} : { silentSince },
        shared,
        domain,
        uuid,
        pid,
        since,
      });
    session.ask(read(keys.session(holder.session), keys.silence(holder.session)), (answer) => {
      const [entry, noted] = firstOf(answer);
      const record = entry === undefined ? undefined : readable(() => decodeSession(entry));
      if (record === undefined) return told("");
      session.ask(read(keys.host(record.host)), (heard) => {
        if (heard.kind !== "transaction") return told(record.name);
        const [shown] = firstOf(heard);
        const known = shown === undefined ? undefined : readable(() => decodeHost(shown));
        // Otherwise another start of the host is heard of, and not this one. What cannot be read shows no
        // silence.
        if (shown !== undefined && (known === undefined || isSameStart(known.session, holder.session))) {
          return told(record.name);
        }
        const before = noted === undefined ? undefined : readable(() => decodeSilence(noted));
        if (before !== undefined) return told(record.name, before.since);
        this.#note(holder.session, keys.host(record.host), shown, (first) => told(record.name, first));
      });
    });
  }

  /**
   * @param host the key that tells of the host
   * @param shown what was read there
   */
  #note(silent: string, host: string, shown: KeyValue | undefined, done: (since: number) => void): void {
    const { session, keys, now } = this.#parts;
    const since = now();
    const key = keys.silence(silent);
    session.ask({
      compare: [
        { kind: "changed-at", key, revision: 0 },
        // A host that is heard of by now must not be called silent again.
        { kind: "changed-at", key: host, revision: shown?.changedAt ?? 0 },
      ],
      success: [{ op: "put", key, value: encodeRecord({ since }) }],
      failure: [],
      // Where it cannot be written down, this host at least knows since when it does.
    }, () => done(since));
  }
}

/** What was found by each read of an answer. */
function firstOf(answer: Answer): readonly (KeyValue | undefined)[] {
  return answer.kind === "transaction" ? answer.result.results.map(({ found }) => found[0]) : [];
}
