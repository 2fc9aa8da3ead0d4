import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  type Answer,
  decodeFromLink,
  encodeLine,
  LINK_PROTOCOL,
} from "../../../src/etcd/wire/link_messages.ts";
import type { Transaction } from "../../../src/etcd/wire/transaction.ts";

const LIMIT_MS = 5000;

/** A link with etcd of the bench's own: what etcd and the link take without a daemon. */
export class BareLink implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #nextId = 1;
  #rest = "";

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts the link, and waits until it takes questions. */
  static async open(program: string, urls: readonly string[]): Promise<BareLink> {
    const child = spawn(program, [], { stdio: ["pipe", "pipe", "inherit"] });
    const link = new BareLink(child);
    const opened = new Promise<void>((resolve) => link.#read(resolve));
    child.stdin?.write(encodeLine({ kind: "open", protocol: LINK_PROTOCOL, endpoints: { urls } }));
    await opened;
    return link;
  }

  /** Puts a transaction to etcd. @throws Error when it was not done */
  async ask(transaction: Transaction): Promise<void> {
    const id = this.#nextId++;
    const answered = new Promise<Answer>((resolve) => this.#waiting.set(id, resolve));
    const question = { kind: "transaction", transaction } as const;
    this.#child.stdin?.write(encodeLine({ kind: "ask", id, limitMs: LIMIT_MS, question }));
    const answer = await answered;
    if (answer.kind !== "transaction" || !answer.result.succeeded) {
      throw new Error(`Ask etcd: ${JSON.stringify(answer)}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  #read(opened: () => void): void {
    this.#child.stdout?.on("data", (chunk: Uint8Array) => {
      const lines = (this.#rest + new TextDecoder().decode(chunk)).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) {
        const message = decodeFromLink(line);
        if (message?.kind === "opened") opened();
        if (message?.kind === "answer") this.#answered(message.id, message.answer);
      }
    });
  }

  #answered(id: number, answer: Answer): void {
    this.#waiting.get(id)?.(answer);
    this.#waiting.delete(id);
  }
}
