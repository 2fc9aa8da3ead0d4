import assert from "node:assert/strict";
import type { Answer } from "../../../../../src/etcd/wire/link_messages.ts";
import type { Transaction } from "../../../../../src/etcd/wire/transaction.ts";
import { listAll } from "../../../../../src/lockd/cluster/session/list_all.ts";
import { PlayedEtcd } from "../../../../cluster_model/played_etcd.ts";

/** Keys below `p/`, and one behind them. */
class Stage {
  readonly #etcd = new PlayedEtcd("none");
  readonly #waiting: { readonly transaction: Transaction; readonly done: (answer: Answer) => void }[] = [];
  /** What was asked, in order: behind which key, and up to which. */
  readonly asked: (readonly [after: string | undefined, upTo: string | undefined])[] = [];
  /** Questions that were under way at once, at most. */
  most = 0;

  constructor(count: number) {
    for (let number = 0; number < count; number++) this.#etcd.put(key(number), `v${number}`);
    this.#etcd.put("q", "behind them");
  }

  readonly ask = (transaction: Transaction, done: (answer: Answer) => void): void => {
    const [list] = transaction.success;
    if (list?.op !== "list") assert.fail();
    this.asked.push([list.after, list.upTo]);
    this.#waiting.push({ transaction, done });
    this.most = Math.max(this.most, this.#waiting.length);
  };

  /** Answers what was asked first. @param answer instead of etcd's */
  answer(answer?: Answer): void {
    const { transaction, done } = this.#waiting.shift() ?? assert.fail("nothing was asked");
    done(answer ?? this.#etcd.apply({ kind: "transaction", transaction }, 0));
  }

  /** Answers everything. */
  answerAll(): void {
    while (this.#waiting.length > 0) this.answer();
  }
}

function key(number: number): string {
  return `p/${String(number).padStart(5, "0")}`;
}

Deno.test("thousands of keys are read one page after the other, in their order", () => {
  const stage = new Stage(4500);
  const told: unknown[] = [];
  listAll(
    stage,
    "p/",
    (found) => told.push(typeof found === "string" ? found : found.map((each) => each.key)),
  );
  stage.answerAll();
  assert.deepEqual(told, [Array.from({ length: 4500 }, (_, number) => key(number))]);
  assert.deepEqual(stage.asked, [[undefined, undefined], [key(1999), undefined], [key(3999), undefined]]);
  assert.equal(stage.most, 1);
});

Deno.test("parts of the keys are read at once, three of them, and each key once", () => {
  const stage = new Stage(9000);
  const told: unknown[] = [];
  const splits = [key(1500), "p/01500x", key(8000), key(5000), key(8000), "p/99999"];
  listAll(stage, "p/", (found) => {
    told.push(typeof found === "string" ? found : found.map((each) => each.key).sort());
  }, splits);
  stage.answerAll();
  assert.deepEqual(told, [Array.from({ length: 9000 }, (_, number) => key(number))]);
  assert.deepEqual(stage.asked, [
    [undefined, key(1500)],
    [key(1500), "p/01500x"],
    ["p/01500x", key(5000)],
    [key(5000), key(8000)],
    [key(8000), "p/99999"],
    // A part that was more than one page.
    [key(3500), key(5000)],
    [key(7000), key(8000)],
    ["p/99999", undefined],
  ]);
  assert.equal(stage.most, 3);
});

Deno.test("that one part cannot be read is told once, and nothing is read on", () => {
  const stage = new Stage(9000);
  const told: unknown[] = [];
  listAll(stage, "p/", (found) => told.push(found), [key(1000), key(2000), key(3000), key(4000)]);
  stage.answer();
  stage.answer({ kind: "refused", reason: "no such user" });
  stage.answer({ kind: "refused", reason: "no such user" });
  stage.answerAll();
  assert.deepEqual(told, ["no such user"]);
  assert.equal(stage.asked.length, 4);
});

Deno.test("where there is nothing, nothing is found, in parts too", () => {
  for (const splits of [[], [key(1), key(2), key(3)]]) {
    const stage = new Stage(0);
    const told: unknown[] = [];
    listAll(stage, "p/", (found) => told.push(found), splits);
    stage.answerAll();
    assert.deepEqual(told, [[]]);
  }
});
