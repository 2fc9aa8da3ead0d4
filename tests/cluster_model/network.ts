import { invariant } from "../../src/base/invariant.ts";
import type { Answer, Question } from "../../src/etcd/wire/link_messages.ts";
import type { KeyValue, Transaction, TransactionResult } from "../../src/etcd/wire/transaction.ts";
import { ClusterKeys } from "../../src/lockd/cluster/keys/keys.ts";
import { decodeMeta, encodeMeta } from "../../src/lockd/cluster/keys/meta_record.ts";
import type { PlayedTime } from "../support/played_time.ts";
import type { Chooser } from "./chooser.ts";
import type { PlayedEtcd, Snapshot } from "./played_etcd.ts";

/** Keys of the cluster that is played. */
export const KEYS = new ClusterKeys("model");
const META = KEYS.meta;
/** What all agree upon in a new cluster. */
export const NEW_META = {
  spaces: ["s"],
  phase: "open",
  round: "first",
  expect: [],
  without: [],
  why: "",
} as const;

/** A question on its way to etcd. */
export interface Message {
  readonly host: number;
  readonly question: Question;
  /** @returns whether whoever asked still waits */
  readonly reply: (answer: Answer) => boolean;
}

/** What the network works with. */
export interface NetworkParts {
  readonly etcd: PlayedEtcd;
  readonly time: Pick<PlayedTime, "now">;
  readonly chooser: Chooser;
  /** Another text each time. */
  readonly nonce: () => string;
}

/** The way to one etcd, which loses and delays what it likes, and what happens to etcd itself. */
export class Network {
  readonly #parts: NetworkParts;
  /** Questions that have not reached etcd; they may still do so after their asker has given up. */
  #travelling: Message[] = [];
  /** Questions that are answered when something is changed. */
  #watching: Message[] = [];
  /** The latest revision that each host's daemon has been told of. */
  readonly #told: number[] = [];
  #backup: Snapshot | undefined;
  /** Hosts that notice by the next answer that etcd was restored, as long as nobody has. */
  #noticing: Set<number> | undefined;

  constructor(parts: NetworkParts) {
    this.#parts = parts;
  }

  /** Whether etcd was restored, and nobody has said so. */
  get unsaid(): boolean {
    return this.#noticing !== undefined;
  }

  /** Whether etcd was restored, and is not whole again. */
  get lost(): boolean {
    if (this.#noticing !== undefined) return true;
    const value = this.#parts.etcd.get(META);
    return value !== undefined && decodeMeta({ key: META, value, changedAt: 0 }).phase === "recovering";
  }

  /** A question goes on its way. */
  send(message: Message): void {
    // Nobody deletes keys by hand here: who waits for that waits for ever.
    if (message.question.kind === "await-delete") return;
    this.#travelling.push(message);
  }

  /** One of the questions comes to etcd. @returns whether there was one */
  deliverAny(): boolean {
    const [index, message] = this.#pick();
    if (index === undefined || message === undefined) return false;
    this.#deliver(index, message);
    return true;
  }

  /** All of them come, in their order, and those that follow from them. */
  deliverAll(): void {
    while (this.#travelling.length > 0) {
      const [message] = this.#travelling;
      if (message !== undefined) this.#deliver(0, message);
    }
  }

  /** One is lost before it comes to etcd. */
  lose(): void {
    const [index] = this.#pick();
    if (index !== undefined) this.#travelling.splice(index, 1);
  }

  /** One is done, and its answer is lost. */
  loseAnswer(): void {
    const [index, message] = this.#pick();
    if (index === undefined || message === undefined) return;
    this.#travelling.splice(index, 1);
    if (this.#noticing === undefined) this.#apply(message.question);
  }

  #pick(): [number | undefined, Message | undefined] {
    if (this.#travelling.length === 0) return [undefined, undefined];
    const index = this.#parts.chooser.choose(this.#travelling.length, "message");
    return [index, this.#travelling[index]];
  }

  #deliver(index: number, { host, question, reply }: Message): void {
    this.#travelling.splice(index, 1);
    // Between a restore and the moment when somebody has said so nothing is promised: whoever comes first
    // has to be one who notices, and that is the first thing that is written.
    if (this.#noticing !== undefined && !(this.#noticing.has(host) && isNotice(question))) return;
    if (question.kind === "await-change" && !this.#parts.etcd.hasChanged(question.prefix, question.from)) {
      this.#watching.push({ host, question, reply });
      return;
    }
    const answer = this.#apply(question);
    const wrote = question.kind === "transaction" && writes(question).length > 0;
    if (wrote && answer.kind === "transaction" && answer.result.succeeded) this.#noticing = undefined;
    if (reply(answer) && answer.kind === "transaction") this.#told[host] = answer.result.revision;
  }

  /** A backup is made. */
  save(): void {
    this.#backup = this.#parts.etcd.save();
  }

  /** Whether there is a backup of an earlier state. */
  get hasBackup(): boolean {
    return this.#backup !== undefined && this.#backup.revision !== this.#parts.etcd.revision;
  }

  /** etcd is restored from a backup: what was under way with the one before is lost. */
  restore(): void {
    const backup = this.#backup;
    if (backup === undefined) return;
    const anew = this.#parts.chooser.choose(3, "anew") === 0;
    this.#travelling = [];
    this.#parts.etcd.restore(backup, anew);
    const noticing = this.#told.flatMap((revision, host) => revision > backup.revision ? [host] : []);
    this.#noticing = new Set(noticing);
    if (noticing.length === 0) this.#unnoticed();
  }

  /** A daemon has ended. @param told the latest revision that the next one knows of */
  forget(host: number, told: number): void {
    this.#told[host] = told;
    this.#noticing?.delete(host);
    if (this.#noticing?.size === 0) this.#unnoticed();
  }

  /** Nobody can notice: whoever restores it says so. */
  #unnoticed(): void {
    this.#noticing = undefined;
    const round = `operator${this.#parts.nonce()}`;
    this.#parts.etcd.put(META, encodeMeta({ ...NEW_META, phase: "recovering", round, why: "restored" }));
  }

  /** etcd does something, and whoever watches what has changed is answered some time. */
  #apply(question: Question): Answer {
    const answer = this.#parts.etcd.apply(question, this.#parts.time.now);
    const { watching, told } = Object.groupBy(
      this.#watching,
      ({ question }) =>
        question.kind === "await-change" && this.#parts.etcd.hasChanged(question.prefix, question.from)
          ? "told"
          : "watching",
    );
    this.#watching = watching ?? [];
    this.#travelling.push(...told ?? []);
    return answer;
  }

  /** A key as etcd has it. */
  entry(key: string): KeyValue | undefined {
    return this.list(key).find((entry) => entry.key === key);
  }

  /** Keys that begin so, as etcd has them. */
  list(prefix: string): KeyValue[] {
    const list = { op: "list", prefix, limit: 1000 } as const;
    const [page] = this.change({ compare: [], success: [list], failure: [] }).results;
    return [...page?.found ?? []];
  }

  /** etcd is asked by a person, who is not kept waiting. */
  change(transaction: Transaction): TransactionResult {
    const answer = this.#apply({ kind: "transaction", transaction });
    invariant(answer.kind === "transaction", "etcd has answered another question");
    return answer.result;
  }
}

/** Whether it reads, or tells that etcd was restored. */
function isNotice(question: Question): boolean {
  return question.kind === "transaction" && writes(question).every((key) => key === META);
}

/** Keys that a transaction may write. */
function writes({ transaction }: Extract<Question, { kind: "transaction" }>): string[] {
  return [...transaction.success, ...transaction.failure].flatMap((each) =>
    each.op === "put" || each.op === "delete" ? [each.key] : []
  );
}
