import assert from "node:assert/strict";
import { type Member, Members } from "../../../../src/etcd/link/members.ts";
import type { Answer, MemberVersion, Question } from "../../../../src/etcd/wire/link_messages.ts";

const QUESTION = { kind: "grant-lease", seconds: 5 } as const satisfies Question;

/** A member whose answers the test gives. */
class Played implements Member {
  readonly waiting: ((answer: Answer) => void)[] = [];
  closed = false;
  readonly #url: string;
  versioned: ((version: MemberVersion) => void) | undefined;

  constructor(url = "") {
    this.#url = url;
  }

  version(_limitMs: number, done: (version: MemberVersion) => void): void {
    this.versioned = done;
  }

  /** Says which version it is. */
  says(version: string): void {
    this.versioned?.({ url: this.#url, version });
  }

  ask(_question: Question, _limitMs: number, done: (answer: Answer) => void): void {
    this.waiting.push(done);
  }

  close(): void {
    this.closed = true;
  }
}

Deno.test("a question goes to one member, and the next one to another when that has not answered", () => {
  const [first, second] = [new Played(), new Played()];
  const members = new Members([first, second]);
  const answers: Answer[] = [];
  members.ask(QUESTION, 1, (answer) => answers.push(answer));
  assert.deepEqual([first.waiting.length, second.waiting.length], [1, 0]);
  first.waiting[0]?.({ kind: "unknown", reason: "gone" });
  assert.deepEqual(answers, [{ kind: "unknown", reason: "gone" }]);
  members.ask(QUESTION, 1, () => {});
  assert.deepEqual([first.waiting.length, second.waiting.length], [1, 1]);
});

Deno.test("a refusal is an answer: the member is asked again", () => {
  const [first, second] = [new Played(), new Played()];
  const members = new Members([first, second]);
  members.ask(QUESTION, 1, () => {});
  first.waiting[0]?.({ kind: "refused", reason: "full" });
  members.ask(QUESTION, 1, () => {});
  assert.deepEqual([first.waiting.length, second.waiting.length], [2, 0]);
});

Deno.test("questions that were put before a member was left do not leave the next one", () => {
  const played = [new Played(), new Played(), new Played()] as const;
  const members = new Members(played);
  members.ask(QUESTION, 1, () => {});
  members.ask(QUESTION, 1, () => {});
  played[0].waiting.forEach((done) => done({ kind: "unknown", reason: "gone" }));
  members.ask(QUESTION, 1, () => {});
  assert.deepEqual(played.map(({ waiting }) => waiting.length), [2, 1, 0]);
  members.close();
  assert.deepEqual(played.map(({ closed }) => closed), [true, true, true]);
});

Deno.test("which version they are all are asked, and told in their order", () => {
  const played = [new Played("a"), new Played("b")] as const;
  const members = new Members(played);
  const answers: Answer[] = [];
  members.ask({ kind: "versions" }, 1, (answer) => answers.push(answer));
  played[1].says("3.5.16");
  assert.deepEqual(answers, []);
  played[0].says("3.4.23");
  assert.deepEqual(answers, [
    { kind: "versions", members: [{ url: "a", version: "3.4.23" }, { url: "b", version: "3.5.16" }] },
  ]);
  assert.deepEqual(played.map(({ waiting }) => waiting.length), [0, 0]);
});
