import type { EventLoop } from "../../../chassis/event/event_loop.ts";
import type { Answer } from "../../../etcd/wire/link_messages.ts";
import type { Compare, KeyValue, Transaction, TransactionResult } from "../../../etcd/wire/transaction.ts";
import { type Etcd, reasonOf } from "../etcd/etcd.ts";
import { decodeHost } from "../keys/host_record.ts";
import { readable } from "../keys/record_fields.ts";
import { type Epoch, readComparing } from "../keys/transactions.ts";
import { ASK_MS, PROOF_MS } from "./cluster_times.ts";
import type { OwnSession } from "./own_session.ts";

const UNHEARD = "this host was not heard of for a while";

/** What the proof works with. */
export interface SessionProofParts {
  readonly etcd: Pick<Etcd, "ask">;
  readonly loop: Pick<EventLoop, "after">;
  /** Key that tells that this host is heard of. */
  readonly place: string;
  readonly own: Pick<OwnSession, "lease" | "unleased" | "lost" | "data">;
  readonly session: ProvenSession;
  /** How many locks its guests have now that are another session's. */
  readonly lost: () => number;
  /** What a program has to know that fences this host, as it is configured now; undefined: nothing. */
  readonly data: () => string | undefined;
  /** What the next proof looks at besides: one question costs an idle host less than two. */
  readonly look: () => KeyLook | undefined;
  /** Told each time that this host is still a member. */
  readonly proven: () => void;
}

/** Keys at which a proof looks besides. */
export interface KeyLook {
  /** What etcd has of them when all is well: as many as a transaction takes at most. */
  readonly compare: readonly Compare[];
  /** Told when etcd has answered: whether all of it holds. */
  readonly looked: (holds: boolean) => void;
}

/** The session that is proven. */
export interface ProvenSession {
  readonly id: string;
  /** Undefined as long as nothing can be changed. */
  readonly epoch: Epoch | undefined;
  readonly closed: boolean;
  ask(transaction: Transaction, done: (answer: Answer) => void): void;
  moved(epoch: Epoch, results: TransactionResult["results"]): boolean;
  doubt(reason: string): void;
}

/** Shows now and then that this host is there, and looks whether it is still a member. */
export class SessionProof {
  readonly #parts: SessionProofParts;

  constructor(parts: SessionProofParts) {
    this.#parts = parts;
  }

  /** Begins to, until the session is closed. */
  begin(): void {
    const { loop, session } = this.#parts;
    loop.after(PROOF_MS, () => {
      if (session.closed) return;
      this.begin();
      this.#prove();
    });
  }

  #prove(): void {
    const { session, place, own, lost, data, proven } = this.#parts;
    const { epoch } = session;
    if (epoch === undefined) return;
    this.#keepLease();
    const look = this.#parts.look();
    const keys = [epoch.sessionKey, epoch.metaKey, place];
    session.ask(readComparing(look?.compare ?? [], ...keys), (answer) => {
      if (session.epoch !== epoch) return;
      // A copy of this host, made of its memory, finds that its connection has gone. It must not go on in a
      // session that another one has too: whoever writes it anew is the only one that does.
      if (answer.kind !== "transaction") return session.doubt(reasonOf(answer));
      if (session.moved(epoch, answer.result.results)) return;
      // Nobody but a hand takes that away before its lease has ended: others would call this host silent.
      if (!this.#isShown(answer.result.results[2]?.found[0])) return session.doubt(UNHEARD);
      // The session tells everybody how many guests run on disks that are not theirs any more.
      if (own.lost !== lost()) return session.doubt("guests have lost locks, or ended that had");
      if (own.data !== data()) return session.doubt("cluster_fence_data was changed");
      proven();
      look?.looked(answer.result.succeeded);
    });
  }

  /** Whether what tells that a host is heard of tells of this session. What cannot be read says nothing. */
  #isShown(shown: KeyValue | undefined): boolean {
    if (shown === undefined) return false;
    const host = readable(() => decodeHost(shown));
    return host === undefined || host.session === this.#parts.session.id;
  }

  #keepLease(): void {
    const { etcd, own, session } = this.#parts;
    const { lease } = own;
    if (lease === undefined) return;
    etcd.ask({ kind: "keep-lease", lease }, ASK_MS, (answer) => {
      // Without a lease nothing is less safe; the next bump makes another one.
      if (answer.kind === "lease" && answer.seconds === 0 && own.unleased(lease)) {
        session.doubt(UNHEARD);
      }
    });
  }
}
