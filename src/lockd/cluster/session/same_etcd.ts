import type { TransactionResult } from "../../../etcd/wire/transaction.ts";

/** When a question was put. */
export interface Moment {
  /** How often it has turned out to be another etcd. */
  readonly era: number;
  /** The latest revision that was seen. */
  readonly revision: number;
}

/** Which etcd has answered. */
export type Identity =
  | { readonly kind: "same" }
  /** It is not what it was. */
  | { readonly kind: "another"; readonly reason: string }
  /** The question was put before it turned out to be another one: nobody knows which of them has answered. */
  | { readonly kind: "earlier" };

/** Whether it is the same etcd that answers, and how long ago it has. */
export class SameEtcd {
  readonly #clock: () => number;
  #cluster: string | undefined;
  #revision: number;
  #era = 0;
  #heard: number;

  /**
   * @param clock monotonic milliseconds
   * @param cluster its number, where that is known from before
   * @param revision one that it has had
   */
  constructor(clock: () => number, cluster?: string, revision = 0) {
    this.#clock = clock;
    this.#heard = clock();
    this.#cluster = cluster;
    this.#revision = revision;
  }

  /** Milliseconds since it has last answered, or since the beginning. */
  get silence(): number {
    return this.#clock() - this.#heard;
  }

  /** Its number; "" when it has not answered. */
  get cluster(): string {
    return this.#cluster ?? "";
  }

  /** To be kept with a question that is put now: it is answered at this revision, or a later one. */
  get moment(): Moment {
    return { era: this.#era, revision: this.#revision };
  }

  /**
   * Looks at an answer. What it was found to be is from then on what it has to be.
   *
   * @param asked {@link moment} when the question was put
   * @param from URL of the member that has answered, where that is known
   */
  look({ cluster, revision }: TransactionResult, asked: Moment, from?: string): Identity {
    this.#heard = this.#clock();
    if (asked.era !== this.#era) return { kind: "earlier" };
    const was = this.#cluster;
    const at = from === undefined ? "" : ` at ${from}`;
    const gone = was !== undefined && cluster !== was
      ? `another etcd answers${at}: its cluster id is ${cluster}, and was ${was}`
      : revision < asked.revision
      ? `etcd${at} has gone back from revision ${asked.revision} to ${revision}: it was restored from an earlier state`
      : undefined;
    this.#cluster = cluster;
    if (gone !== undefined) {
      this.#era++;
      this.#revision = revision;
      return { kind: "another", reason: gone };
    }
    this.#revision = Math.max(this.#revision, revision);
    return { kind: "same" };
  }
}
