import type { Answer, Question } from "../../../../../src/etcd/wire/link_messages.ts";
import type { KeyOperation } from "../../../../../src/etcd/wire/transaction.ts";
import { EtcdQuestions } from "../../../../../src/lockd/cli/cluster/etcd_questions.ts";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { PlayedEtcd } from "../../../../cluster_model/played_etcd.ts";

/** A cluster in a played etcd, and a command's questions to it. */
export class PlayedCluster {
  readonly etcd = new PlayedEtcd("none");
  readonly keys = new ClusterKeys("test");
  /** Monotonic milliseconds; waiting makes them pass. */
  now = 0;
  /** Called before a question is answered. */
  before: (question: Question) => void = () => {};
  readonly questions: EtcdQuestions;

  constructor() {
    const clock = () => this.now;
    this.questions = new EtcdQuestions({
      ask: (question) => this.answer(question),
      pause: (milliseconds) => {
        this.now += milliseconds;
      },
      get now() {
        return clock();
      },
    });
  }

  /** What etcd answers. */
  answer(question: Question): Answer {
    this.before(question);
    return this.etcd.apply(question, this.now);
  }

  /** Writes a key. */
  put(key: string, value: unknown): void {
    this.#change({ op: "put", key, value: JSON.stringify(value) });
  }

  /** Writes a key by hand, whatever that is. */
  spoil(key: string, value: string): void {
    this.#change({ op: "put", key, value });
  }

  /** Deletes a key. */
  delete(key: string): void {
    this.#change({ op: "delete", key });
  }

  #change(change: KeyOperation): void {
    this.etcd.apply({ kind: "transaction", transaction: { compare: [], success: [change], failure: [] } }, 0);
  }

  /** A host with a session, which is heard of or not. */
  host(id: string, { session = `s-${id}`, heard = true, ...more }: HostParts = {}): void {
    const record = { host: id, name: `kvm-${id}`, boot: `boot-${session}`, nonce: "n", ...more };
    this.put(this.keys.session(session), record);
    if (heard) this.put(this.keys.host(id), { session, boot: record.boot, name: record.name });
  }

  /** A lock with its entry in the list of its session. */
  lock(session: string, name: string, shared = false): void {
    const key = this.keys.lock({ space: "scsi", name }, shared, session);
    const holder = { session, attempt: `a-${name}`, domain: "web", uuid: "u", pid: 7, start: 1, since: 1000 };
    this.put(key, holder);
    this.put(this.keys.own(session, key), holder);
  }

  /** The mark of a paused guest of a session whose lock another one has got. */
  mark(session: string, name: string, pid: number): void {
    const guest = { pid, start: 1, uuid: "u" };
    const key = this.keys.paused({ space: "scsi", name }, session, guest);
    const holder = { session, attempt: `m-${name}`, domain: "web", since: 1000, ...guest };
    this.put(key, holder);
    this.put(this.keys.own(session, key), holder);
  }
}

interface HostParts {
  readonly session?: string;
  readonly heard?: boolean;
  readonly name?: string;
  readonly left?: true;
  readonly quiet?: true;
  readonly removed?: true;
  readonly fencing?: unknown;
  readonly lost?: number;
}
