import { decodeToLink } from "../../src/etcd/wire/decode_to_link.ts";
import {
  type Answer,
  encodeLine,
  type FromLink,
  LINK_PROTOCOL,
  type Question,
} from "../../src/etcd/wire/link_messages.ts";
import type { PlayedEtcd } from "../cluster_model/played_etcd.ts";

/**
 * Where a link is killed with a question: it has not gone to etcd, and never will; it is on its way, and gets
 * there later; etcd has done it, and nobody has been told; it was answered.
 */
export type Cut = "unasked" | "late" | "unanswered" | "answered";

/** How long a question is on its way to etcd where they are slow, in ms. */
const WAY_MS = 20;
/** How often it is looked whether something has changed that is awaited, in ms. */
const LOOK_MS = 20;
/** How it is told that the daemon, or the test, has ended a connection. */
const ENDS = [
  Deno.errors.BadResource,
  Deno.errors.BrokenPipe,
  Deno.errors.ConnectionReset,
  Deno.errors.Interrupted,
];
const FULL =
  "etcd is full: etcdserver: mvcc: database space exceeded (docs/cluster-etcd.md says how to make room)";

/** The links of a host with an etcd that is played in the test's process. Disposing of it ends them. */
export class PlayedLinks implements Disposable {
  readonly #etcd: PlayedEtcd;
  readonly #listener: Deno.UnixListener;
  readonly #connections = new Set<Deno.UnixConn>();
  /** Whether etcd takes nothing that might write, as Debian's does whose quota is used up. */
  full = false;
  /**
   * Whether etcd is late: what is asked is done, and when its time is over the link says that it has not been
   * answered.
   */
  late = false;
  /** How many were started. */
  started = 0;
  /** Whether nothing that is asked is answered, or done. */
  silent = false;
  /** Whether what etcd has just done is told to nobody. */
  unheard: () => boolean = () => false;
  /** Whether questions take a moment to etcd: one whose daemon ends meanwhile is {@link deliverLate} then. */
  slow = false;
  readonly #underWay: Question[] = [];
  #cut: { left: number; readonly where: Cut } | undefined;

  /** @param path the socket that starts a link for whoever connects */
  constructor(etcd: PlayedEtcd, path: string) {
    this.#etcd = etcd;
    this.#listener = Deno.listen({ transport: "unix", path });
    void this.#accept();
  }

  /** From now on, the link is killed with the question of this number, from 1. */
  cutAt(question: number, where: Cut): void {
    this.#cut = { left: question, where };
  }

  /** Takes that back. @returns whether it was killed */
  uncut(): boolean {
    const struck = this.#cut?.left === 0;
    this.#cut = undefined;
    return struck;
  }

  /** Kills every link that runs now; the daemon gets another one. */
  kill(): void {
    for (const connection of [...this.#connections]) this.#kill(connection);
  }

  /** What was on its way to etcd when its connection ended gets there. */
  deliverLate(): void {
    for (const question of this.#underWay.splice(0)) this.#etcd.apply(question, performance.now());
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) void this.#serve(connection);
  }

  async #serve(connection: Deno.UnixConn): Promise<void> {
    this.#connections.add(connection);
    this.started++;
    const decoder = new TextDecoder();
    const bytes = new Uint8Array(65_536);
    let text = "";
    try {
      for (;;) {
        const length = await connection.read(bytes);
        if (length === null) return;
        const lines = (text + decoder.decode(bytes.subarray(0, length), { stream: true })).split("\n");
        text = lines.pop() ?? "";
        for (const line of lines) {
          const done = this.#message(connection, line);
          // Whoever waits for it would not see that the daemon ends meanwhile.
          if (!this.slow) await done;
        }
      }
    } catch (error) {
      if (!ENDS.some((end) => error instanceof end)) throw error;
    } finally {
      this.#kill(connection);
    }
  }

  #kill(connection: Deno.UnixConn): void {
    if (this.#connections.delete(connection)) connection.close();
  }

  /** Where the link is killed with the question that has just come; undefined: it is not. */
  #cutNow(): Cut | undefined {
    const cut = this.#cut;
    return cut !== undefined && cut.left > 0 && --cut.left === 0 ? cut.where : undefined;
  }

  async #message(connection: Deno.UnixConn, line: string): Promise<void> {
    const message = decodeToLink(line);
    if (message === undefined) throw new Error(`A link was sent what is no message: ${line}`);
    if (message.kind === "open") {
      return await send(connection, { kind: "opened", protocol: LINK_PROTOCOL });
    }
    const { id, question, limitMs } = message;
    const cut = this.#cutNow();
    if (cut === "unasked" || cut === "late") this.#kill(connection);
    if (cut === "unasked") return;
    if (this.slow) await new Promise((resolve) => setTimeout(resolve, WAY_MS));
    if (!this.#connections.has(connection)) {
      this.#underWay.push(question);
      return;
    }
    // Nobody deletes keys by hand here.
    if (question.kind === "await-delete") {
      if (cut !== undefined) this.#kill(connection);
      return;
    }
    if (question.kind === "await-change") {
      if (cut !== undefined) return this.#kill(connection);
      const end = performance.now() + limitMs;
      const timer = setInterval(() => {
        if (!this.#connections.has(connection)) return clearInterval(timer);
        if (performance.now() < end && !this.#etcd.hasChanged(question.prefix, question.from)) return;
        clearInterval(timer);
        void send(connection, { kind: "answer", id, answer: { kind: "changed" } });
      }, LOOK_MS);
      return;
    }
    if (this.late) {
      setTimeout(() => {
        this.#answer(question);
        const reason = `etcd has not answered within ${limitMs / 1000} s`;
        void send(connection, { kind: "answer", id, answer: { kind: "unknown", reason } });
      }, limitMs);
      return;
    }
    const answer = this.#answer(question);
    if (cut === "unanswered") return this.#kill(connection);
    if (this.unheard()) return;
    if (answer !== undefined) await send(connection, { kind: "answer", id, answer });
    if (cut === "answered") this.#kill(connection);
  }

  #answer(question: Question): Answer | undefined {
    if (this.silent) return undefined;
    const writes = question.kind === "grant-lease" ||
      (question.kind === "transaction" &&
        [...question.transaction.success, ...question.transaction.failure].some(({ op }) => op === "put"));
    return this.full && writes
      ? { kind: "full", reason: FULL }
      : this.#etcd.apply(question, performance.now());
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    const connections = [...this.#connections];
    this.#connections.clear();
    for (const connection of connections) connection.close();
  }
}

async function send(connection: Deno.UnixConn, message: FromLink): Promise<void> {
  const bytes = new TextEncoder().encode(encodeLine(message));
  try {
    for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
  } catch (error) {
    if (!ENDS.some((end) => error instanceof end)) throw error;
  }
}
