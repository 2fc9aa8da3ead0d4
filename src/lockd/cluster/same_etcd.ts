import type { TransactionResult } from "../../etcd/wire/transaction.ts";

/** Whether it is the same etcd that answers, and how long ago it has. */
export class SameEtcd {
  readonly #clock: () => number;
  #cluster: string | undefined;
  #revision = 0;
  #heard: number;

  /** @param clock monotonic milliseconds */
  constructor(clock: () => number) {
    this.#clock = clock;
    this.#heard = clock();
  }

  /** Milliseconds since it has last answered, or since the beginning. */
  get silence(): number {
    return this.#clock() - this.#heard;
  }

  /** Its number; "" when it has not answered. */
  get cluster(): string {
    return this.#cluster ?? "";
  }

  /** The latest revision that was seen: a question that is put now is answered at this one or a later one. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Looks at an answer.
   *
   * @param before {@link revision} when the question was put
   * @returns why it is not the etcd that it was; undefined when it is
   */
  look({ cluster, revision }: TransactionResult, before: number): string | undefined {
    this.#heard = this.#clock();
    if (this.#cluster !== undefined && cluster !== this.#cluster) {
      return `another etcd answers: its cluster id is ${cluster}, and was ${this.#cluster}`;
    }
    this.#cluster = cluster;
    if (revision < before) {
      return `etcd has gone back from revision ${before} to ${revision}: it was restored from an earlier state`;
    }
    this.#revision = Math.max(this.#revision, revision);
    return undefined;
  }
}
