import assert from "node:assert/strict";
import { Repeats } from "../../../../src/chassis/log/repeats.ts";

/** Repeats with what they told and a clock that the test turns. */
class Stage {
  readonly told: string[] = [];
  readonly repeats: Repeats;
  #now = 0;
  #tasks: { due: number; task: () => void }[] = [];

  constructor() {
    this.repeats = new Repeats((milliseconds, task) => {
      this.#tasks.push({ due: this.#now + milliseconds, task });
    });
  }

  happened(kind: string, times = 1): void {
    for (let time = 0; time < times; time++) {
      this.repeats.happened(kind, (again) => this.told.push(`${kind}${again}`));
    }
  }

  /** Time goes by. @returns what was told since the last time */
  pass(seconds: number): string[] {
    this.#now += seconds * 1000;
    const due = this.#tasks.filter((each) => each.due <= this.#now);
    this.#tasks = this.#tasks.filter((each) => each.due > this.#now);
    for (const { task } of due) task();
    return this.told.splice(0);
  }
}

Deno.test("Repeats tells the first of a kind at once, and a number of the others at growing intervals", () => {
  const stage = new Stage();
  stage.happened("refused", 3000);
  stage.happened("other");
  assert.deepEqual(stage.pass(0), ["refused", "other"]);
  assert.deepEqual(stage.pass(9.9), []);
  assert.deepEqual(stage.pass(0.1), ["refused (2999 times more in 10 s)"]);
  stage.happened("refused");
  assert.deepEqual(stage.pass(19.9), []);
  assert.deepEqual(stage.pass(0.1), ["refused (once more in 20 s)"]);
  for (let round = 0; round < 10; round++) {
    stage.happened("refused", 2);
    stage.pass(600);
  }
  stage.happened("refused", 2);
  assert.deepEqual(stage.pass(600), ["refused (2 times more in 600 s)"]);
});

Deno.test("Repeats tells of a kind at once again when it had not come for an interval", () => {
  const stage = new Stage();
  stage.happened("refused");
  stage.pass(10);
  stage.told.length = 0;
  stage.happened("refused");
  assert.deepEqual(stage.pass(0), ["refused"]);
});

Deno.test("Repeats counts a thousand kinds at once, and all others together", () => {
  const stage = new Stage();
  for (let kind = 0; kind < 1000; kind++) stage.happened(`${kind}`, 2);
  for (let kind = 0; kind < 5000; kind++) stage.happened(`another ${kind}`);
  const told = stage.pass(0);
  assert.deepEqual([told.length, told.at(-1)], [1001, "another 0"]);
  const later = stage.pass(10);
  assert.deepEqual([later.length, later.at(-1)], [
    1001,
    "another 4999 (this or another of its like 4999 times more in 10 s)",
  ]);
  // Whoever stops makes room again.
  stage.pass(20);
  stage.happened("one more");
  stage.happened("one more");
  assert.deepEqual(stage.pass(0), ["one more"]);
});
