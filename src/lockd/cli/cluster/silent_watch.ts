import { shellQuoted } from "../../../base/shell_quoted.ts";
import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import { counted } from "../../../chassis/log/counted.ts";
import type { ClusterKeys } from "../../cluster/keys/keys.ts";
import { decodeHost } from "../../cluster/keys/host_record.ts";
import { decodeSession, type SessionRecord } from "../../cluster/keys/session_record.ts";
import type { EtcdQuestions } from "./etcd_questions.ts";
import { knownSessions } from "./known_hosts.ts";

/** How often a host is looked for, in ms. */
const LOOK_MS = 3000;
/** Two looks that are further apart prove nothing of the time between them, in ms. */
const GAP_MS = 15_000;

/** What is found of a host that somebody wants to be fenced. */
export type Sight =
  /** Nothing is heard of it. */
  | { readonly kind: "silent"; readonly entry: KeyValue; readonly record: SessionRecord }
  /** It is not to be fenced without a person's word. */
  | { readonly kind: "over"; readonly reason: string };

/** What watching needs. */
export interface SilentWatchParts {
  readonly questions: Pick<EtcdQuestions, "get" | "list">;
  readonly keys: ClusterKeys;
  readonly session: string;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** Waits; throws when nobody wants to know any more. */
  readonly pause: (milliseconds: number) => void;
}

/**
 * Looks whether a host is heard of, by one observer's own reads of etcd. What others have written down of it,
 * or how long a lease is gone, counts for nothing.
 */
export class SilentWatch {
  readonly #parts: SilentWatchParts;

  constructor(parts: SilentWatchParts) {
    this.#parts = parts;
  }

  /** Looks once. @throws CommandError when etcd does not answer; RecordError */
  look(): Sight {
    const { questions, keys, session } = this.#parts;
    const over = (reason: string) => ({ kind: "over", reason } as const);
    const gone = over("etcd does not know this session any more");
    const [first] = questions.get(keys.session(session));
    if (first === undefined) return gone;
    const [entry, heard] = questions.get(first.key, keys.host(decodeSession(first).host));
    if (entry === undefined) return gone;
    const record = decodeSession(entry);
    const { name, fencing, lost } = record;
    if (fencing?.state === "fenced") return over(`it has been fenced by ${fencing.by} on ${fencing.from}`);
    if (record.left === true) return over("it has left the cluster");
    if (heard !== undefined) {
      return decodeHost(heard).session === session ? over("it is heard of again") : over(
        `another start of host '${name}' is heard of, which would be hit: free what the earlier one had: ` +
          `virtlockd cluster fence ${shellQuoted(session)}`,
      );
    }
    if (record.quiet === true) {
      return over(
        "its daemon was stopped in order while guests had locks, so they may run: start it again, or shut the host " +
          `down and say: virtlockd cluster fence ${shellQuoted(session)}`,
      );
    }
    if (lost !== undefined) {
      return over(
        `its guests had lost ${
          counted(lost, "lock")
        } when it was fenced before, and it is not known that they ` +
          `are gone: make sure that it is off, and say: virtlockd cluster fence ${
            shellQuoted(session)
          } --dead`,
      );
    }
    return { kind: "silent", entry, record };
  }

  /**
   * Watches a host until nothing was heard of it for so long, without a gap.
   *
   * @param silence milliseconds
   * @throws CommandError when etcd does not answer; RecordError
   */
  watch(silence: number): Sight {
    const { clock, pause } = this.#parts;
    let since: number | undefined;
    let revision = 0;
    let last = clock();
    for (;;) {
      const asked = clock();
      const sight = this.look();
      if (sight.kind === "over") return sight;
      const { changedAt } = sight.entry;
      // What was asked before tells nothing of what came later.
      if (since === undefined || changedAt !== revision || clock() - last > GAP_MS) since = clock();
      else if (asked - since >= silence) return sight;
      last = asked;
      revision = changedAt;
      pause(LOOK_MS);
    }
  }

  /**
   * Why so many hosts are silent that it is more likely etcd's fault, or the network's.
   *
   * @returns undefined when they are not too many
   */
  crowd(): string | undefined {
    const { questions, keys } = this.#parts;
    const sessions = knownSessions(questions, keys).filter(({ state }) =>
      state !== "fenced" && state !== "left"
    );
    const names = new Map(sessions.map(({ host, name }) => [host, name]));
    const live = new Set(sessions.filter(({ state }) => state === "live").map(({ host }) => host));
    const silent = [...names].filter(([host]) => !live.has(host)).map(([, name]) => name);
    const most = mostSilent(names.size);
    if (silent.length <= most) return undefined;
    return `${silent.length} of ${counted(names.size, "host")} are silent at once (${
      silent.join(", ")
    }), and at most ` +
      `${most} may be for one to be fenced unasked. Look at etcd and the network; fence those that are dead ` +
      "with 'virtlockd cluster fence HOST'";
  }
}

/** How many hosts of a cluster may be silent at once for one of them to be fenced unasked. */
export function mostSilent(hosts: number): number {
  return Math.max(1, Math.floor(hosts / 3));
}
