import { CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { plainText } from "../../../chassis/log/plain_text.ts";
import type { Compare, KeyOperation } from "../../../etcd/wire/transaction.ts";
import { encodeRecord } from "../../cluster/keys/records.ts";
import { decodeSession } from "../../cluster/keys/session_record.ts";
import { HEARD_SECONDS } from "../../cluster/session/cluster_times.ts";
import { Fencer, type Word } from "./fencer.ts";
import { type KnownSession, knownSessions } from "./known_hosts.ts";
import type { OpenedCluster } from "./opened_cluster.ts";
import { unknownNames } from "./unknown_names.ts";

/** What leaving hosts out works with. */
export interface LeftOutHostsParts extends Pick<OpenedCluster, "questions" | "keys"> {
  /** Ids or names of the hosts. */
  readonly without: readonly string[];
  /** Those of the hosts that are waited for. */
  readonly expect: readonly string[];
  /** Whether somebody says that they are dead, whatever etcd tells of them. */
  readonly dead: boolean;
  readonly word: Word;
}

/**
 * Hosts without which a cluster is recovered: all their sessions are fenced with the change that closes it,
 * by the rules of whoever fences a host. One that is heard of is refused, the others are condemned and may
 * object, and what has changed by then is nobody's word.
 */
export class LeftOutHosts {
  readonly #parts: LeftOutHostsParts;
  readonly #fencer: Fencer;
  /** Sessions that the word is about, with their revisions as they were when they had not objected. */
  #meant: ReadonlyMap<string, number> = new Map();

  constructor(parts: LeftOutHostsParts) {
    this.#parts = parts;
    this.#fencer = new Fencer(parts);
  }

  /** @throws CommandError when one is not known, lives, or is waited for by another of its names */
  confirm(): void {
    const { expect, dead } = this.#parts;
    const awaited = this.#standing().find((session) => expect.some((named) => isCalled(session, named)));
    if (awaited !== undefined) {
      throw new CommandError(
        CommandExit.PROBLEM,
        plainText(
          `Host ${awaited.name} (id ${awaited.host}) is named with --expect and with --without: ` +
            "of hosts with one name each is named by its id",
        ),
      );
    }
    if (dead) return;
    const { unknown } = this;
    if (unknown.length > 0) {
      throw new CommandError(
        CommandExit.PROBLEM,
        plainText(
          `etcd knows no host that is called ${
            unknown.join(", ")
          }: virtlockd cluster hosts lists those that it ` +
            "knows. If it is right, and etcd has lost that host, say --dead",
        ),
      );
    }
    const [living] = this.#standing().filter(({ heard }) => heard);
    if (living === undefined) return;
    throw lives(living, `it was heard of in etcd within the last ${HEARD_SECONDS} s`);
  }

  /** Those of the names that etcd knows nothing of. @throws CommandError */
  get unknown(): readonly string[] {
    return unknownNames(this.#parts, this.#parts.without);
  }

  /** Gives them time to object. @throws CommandError when one does, or etcd does not answer */
  condemn(): void {
    const standing = this.#standing();
    const entries = standing.map(({ entry }) => entry);
    const condemned = this.#parts.dead ? entries : this.#fencer.condemnAll(entries);
    this.#meant = new Map(standing.map(({ session }, at) => [session, condemned[at]?.changedAt ?? 0]));
  }

  /** What is said of their sessions for good. @throws CommandError when one has come back since */
  fenced(): { readonly compare: readonly Compare[]; readonly put: readonly KeyOperation[] } {
    const { word, dead } = this.#parts;
    const standing = this.#standing();
    for (const each of standing) {
      const meant = this.#meant.get(each.session);
      if (meant !== undefined && (dead || meant === each.entry.changedAt)) continue;
      throw lives(each, "its session in etcd was written since");
    }
    return {
      compare: standing.map(({ entry: { key, changedAt: revision } }) =>
        ({ kind: "changed-at", key, revision }) as const
      ),
      put: standing.map(({ entry }) => {
        // What its guests have lost counts no more: nobody is left who would tell that they are gone.
        const { lost: _, ...kept } = decodeSession(entry);
        const value = encodeRecord({ ...kept, fencing: { state: "fenced", ...word } });
        return { op: "put", key: entry.key, value } as const;
      }),
    };
  }

  /** Frees what they have in etcd. @throws CommandError when etcd does not answer */
  sweep(): void {
    for (const { session, state, entry: { key, changedAt: revision } } of this.#all()) {
      if (state === "fenced") this.#fencer.sweep(session, { key, revision });
    }
  }

  #standing(): readonly KnownSession[] {
    return this.#all().filter(({ state }) => state !== "left" && state !== "fenced");
  }

  #all(): readonly KnownSession[] {
    const { questions, keys, without } = this.#parts;
    const sessions = knownSessions(questions, keys);
    const hosts = new Set(
      sessions.filter((session) => without.some((named) => isCalled(session, named))).map(({ host }) => host),
    );
    return sessions.filter(({ host }) => hosts.has(host));
  }
}

function isCalled({ host, name }: KnownSession, named: string): boolean {
  return host === named || name === named;
}

function lives({ name }: KnownSession, why: string): CommandError {
  return new CommandError(
    CommandExit.PROBLEM,
    plainText(
      `The cluster is not recovered without host '${name}': it lives, for ${why}. Name it with --expect; or shut ` +
        "it down or cut it off from the disks first, and if that is done, and only its daemon still reaches etcd, " +
        "say --dead",
    ),
  );
}
