import type { Answer, MemberVersion, Question } from "../wire/link_messages.ts";
import type { MemberQuestion } from "./etcd_channel.ts";

/** One member of etcd, however it is reached. */
export interface Member {
  ask(question: MemberQuestion, limitMs: number, done: (answer: Answer) => void): void;
  /** Asks which version it is, and of which etcd it is a member. @param done called once */
  version(limitMs: number, done: (version: MemberVersion) => void): void;
  close(): void;
}

/**
 * The members of etcd. Each question goes to one of them, and to one only: whoever asks must know that it is
 * done at most once. When one has not answered, later questions go to the next one. Only which version they
 * are all are asked.
 */
export class Members {
  readonly #members: readonly Member[];
  #current = 0;

  /** @param members at least one */
  constructor(members: readonly Member[]) {
    this.#members = members;
  }

  ask(question: Question, limitMs: number, done: (answer: Answer) => void): void {
    if (question.kind === "versions") return this.#versions(limitMs, done);
    const index = this.#current;
    const member = this.#members[index];
    if (member === undefined) return done({ kind: "refused", reason: "no member of etcd is configured" });
    member.ask(question, limitMs, (answer) => {
      if (answer.kind === "unknown" && this.#current === index) {
        this.#current = (index + 1) % this.#members.length;
      }
      done(answer);
    });
  }

  #versions(limitMs: number, done: (answer: Answer) => void): void {
    const versions: MemberVersion[] = [];
    let awaited = this.#members.length;
    this.#members.forEach((member, index) =>
      member.version(limitMs, (version) => {
        versions[index] = version;
        awaited--;
        if (awaited === 0) done({ kind: "versions", members: versions });
      })
    );
  }

  close(): void {
    for (const member of this.#members) member.close();
  }
}
