import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import process from "node:process";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { getLog } from "../../../../src/chassis/log/log.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { storageError } from "../../../../src/storaged/model/storage_error.ts";
import type { Operation } from "../../../../src/storaged/work/operation.ts";
import type { Work } from "../../../../src/storaged/work/work_request.ts";
import { Workers } from "../../../../src/storaged/work/workers.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { kernel } from "../../../support/kernel.ts";
import { openHere, Scratch } from "../../../support/scratch.ts";
import {
  crash,
  die,
  echo,
  endless,
  hang,
  inBatches,
  limited,
  program,
  refuse,
  undone,
  writeInto,
} from "../../../support/storage_work.ts";
import { testProgram } from "../../../support/programs.ts";

const MAIN = testProgram(new URL("../../../support/storage_work_main.ts", import.meta.url));

/** Real helper processes with the operations of tests. */
class Stage implements Disposable {
  #passed = 0;
  #now = () => kernel.monotonic();
  readonly #sys: Sys = { ...kernel, monotonic: () => this.#now() };
  readonly loop = new EventLoop(this.#sys);
  readonly workers: Workers;
  readonly #before = openHere().length;

  /** @param self what a helper is, in the place of a real one */
  constructor(self?: readonly string[]) {
    const base = self ?? [process.execPath, "run", "-A", "--no-check", MAIN];
    const env = Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
    this.workers = new Workers({
      sys: this.#sys,
      loop: this.loop,
      ledger: new DescriptorLedger(kernel),
      self: { path: base[0] ?? "", base, env },
      log: getLog("storage.test", "tests/unit/storaged/work/workers_test.ts"),
    });
  }

  /** Does an operation; its result, or the message of its failure. */
  do<A>(operation: Operation<A, unknown>, args: A, place = "here", limit?: number): { outcome: unknown } {
    const told: { outcome: unknown } = { outcome: undefined };
    this.workers.run({
      operation,
      args,
      place,
      ...limit === undefined ? {} : { limit },
      done: (result) => told.outcome = { result },
      failed: ({ code, message }) => told.outcome = `${code} ${message}`,
    });
    return told;
  }

  /** From now on the daemon's time stands still, but for {@link pass}: whatever is asked for takes none. */
  stopTime(): void {
    let now = kernel.monotonic();
    // A loop that polls for some time has to see it pass.
    this.#now = () => (now += 0.001) + this.#passed;
  }

  /** Lets so many ms of the daemon's time go by, after what has come by now. */
  pass(milliseconds: number): void {
    while (this.loop.turn(0) > 0);
    // Set before the clock goes on, so that the kernel's timer fires now.
    this.loop.after(0, () => {});
    this.#passed += milliseconds;
    kernel.pollReadable(this.loop.descriptors[1] as number, 1000);
    while (this.loop.turn(0) > 0);
  }

  /** The same as soon as something was heard of an operation since the last time. */
  passWhenHeard(work: Work, milliseconds: number): void {
    this.until(() => (work.silentFor ?? Infinity) < milliseconds);
    this.pass(milliseconds);
  }

  /** Serves until something holds. */
  until(condition: () => boolean): void {
    const end = kernel.monotonic() + 60_000;
    while (!condition()) {
      assert.ok(kernel.monotonic() < end, "it does not hold in time");
      this.loop.turn(100);
    }
  }

  [Symbol.dispose](): void {
    this.#now = () => kernel.monotonic();
    this.workers.close();
    this.until(() => this.workers.size === 0);
    this.loop.close();
    assert.ok(openHere().length <= this.#before + 1);
  }
}

Deno.test("an operation is done in a helper, and several share one", () => {
  using stage = new Stage();
  const first = stage.do(echo, { size: 2n ** 60n, name: "a" });
  const second = stage.do(echo, "x".repeat(200_000));
  stage.until(() => second.outcome !== undefined);
  assert.deepEqual(first.outcome, { result: { size: 2n ** 60n, name: "a" } });
  assert.deepEqual(second.outcome, { result: "x".repeat(200_000) });
  assert.equal(stage.workers.size, 1);
});

Deno.test("a refusal comes over with its code, and what nobody has foreseen is told as that", () => {
  using stage = new Stage();
  const refused = stage.do(refuse, "gone");
  const crashed = stage.do(crash, null);
  stage.until(() => crashed.outcome !== undefined);
  assert.equal(refused.outcome, "49 Storage pool not found: gone");
  assert.equal(crashed.outcome, "9 operation failed: crash failed unexpectedly; see the daemon's log");
});

Deno.test("a helper that ends fails its operation, and the next one gets another", () => {
  using stage = new Stage();
  const dead = stage.do(die, null);
  const next = stage.do(echo, 1);
  stage.until(() => next.outcome !== undefined);
  assert.equal(dead.outcome, "9 operation failed: the helper process ended before the operation was done");
  assert.deepEqual(next.outcome, { result: 1 });
});

Deno.test("descriptors go along, and are closed here", () => {
  using stage = new Stage();
  const pipe = kernel.pipe();
  assert.ok(typeof pipe !== "number");
  const [output, input] = pipe;
  let written: unknown;
  stage.workers.run({
    operation: writeInto,
    args: "hello",
    place: "here",
    descriptors: [input],
    done: (count) => written = count,
    failed: ({ message }) => written = message,
  });
  stage.until(() => written !== undefined);
  const bytes = new Uint8Array(16);
  assert.equal(written, 5);
  assert.equal(kernel.read(output, bytes), 5);
  // At last nobody has the other end any more.
  stage.until(() => kernel.read(output, bytes) === 0);
  kernel.close(output);
});

Deno.test("what is cancelled is undone in the helper before that is told", () => {
  using stage = new Stage();
  using scratch = new Scratch();
  const witness = scratch.file("witness");
  let outcome: string | undefined;
  let progress = 0;
  const work = stage.workers.run({
    operation: endless,
    args: { witness },
    place: "here",
    progress: (done) => progress = done,
    done: () => outcome = "done",
    failed: ({ message }) => outcome = message,
  });
  stage.until(() => progress > 0);
  assert.equal(work.running, true);
  work.cancel(storageError("aborted", "as asked"));
  stage.until(() => outcome !== undefined);
  assert.equal(outcome, "operation aborted: as asked");
  assert.equal(existsSync(witness), true);
});

Deno.test("what is still waiting is cancelled at once", () => {
  using stage = new Stage();
  const outcomes: string[] = [];
  const first = stage.do(hang, null, "here", 400);
  const work = stage.workers.run({
    operation: echo,
    args: 1,
    place: "here",
    done: () => outcomes.push("done"),
    failed: ({ message }) => outcomes.push(message),
  });
  stage.loop.turn(0);
  work.cancel(storageError("aborted", "as asked"));
  assert.deepEqual(outcomes, []);
  stage.loop.turn(0);
  assert.deepEqual(outcomes, ["operation aborted: as asked"]);
  stage.until(() => first.outcome !== undefined);
});

Deno.test("storage that hangs holds up its own place alone, and only until its helper is gone", () => {
  using stage = new Stage();
  const hung = stage.do(hang, null, "bad", 300);
  const behind = stage.do(echo, 1, "bad");
  const other = stage.do(echo, 2, "good");
  stage.until(() => other.outcome !== undefined);
  assert.deepEqual(other.outcome, { result: 2 });
  stage.until(() => hung.outcome !== undefined);
  assert.equal(hung.outcome, "68 Timed out during operation: the storage does not answer");
  stage.until(() => stage.workers.stateOf("bad") === "idle" && behind.outcome !== undefined);
  const again = stage.do(echo, 3, "bad");
  stage.until(() => again.outcome !== undefined);
  assert.deepEqual(again.outcome, { result: 3 });
});

Deno.test("a program is run in the helper", () => {
  using stage = new Stage();
  const run = stage.do(program, ["sh", "-c", "echo hello"]);
  stage.until(() => run.outcome !== undefined);
  assert.deepEqual(run.outcome, { result: { kind: "exited", code: 0, stdout: "hello\n", stderr: "" } });
});

Deno.test("helpers that are let go end, and undo what they do", () => {
  using scratch = new Scratch();
  const witness = scratch.file("witness");
  {
    using stage = new Stage();
    let progress = 0;
    stage.workers.run({
      operation: endless,
      args: { witness },
      place: "here",
      progress: (done) => progress = done,
      done() {},
      failed() {},
    });
    stage.until(() => progress > 0);
  }
  assert.equal(existsSync(witness), true);
});

Deno.test("an operation that gives no sign of life is given up, one that does goes on", () => {
  using stage = new Stage();
  using scratch = new Scratch();
  const outcomes: string[] = [];
  const begin = <A>(operation: Operation<A, unknown>, args: A, place: string, silence: number) =>
    stage.workers.run({
      operation,
      args,
      place,
      silence,
      done: () => outcomes.push(`${place} done`),
      failed: ({ message }) => outcomes.push(`${place} ${message}`),
    });
  // Two helpers that are there already: what they take to start is no silence.
  const ready = [stage.do(echo, 1, "one"), stage.do(echo, 2, "other")];
  stage.until(() => ready.every(({ outcome }) => outcome !== undefined));
  stage.stopTime();
  const lively = begin(endless, { witness: scratch.file("witness") }, "lively", 3_000);
  begin(hang, null, "silent", 3_000);
  for (let second = 0; outcomes.length === 0; second++) {
    assert.ok(second < 60, "none of them is given up");
    stage.passWhenHeard(lively, 1000);
  }
  assert.deepEqual(outcomes, ["silent Timed out during operation: the storage does not answer"]);
  lively.cancel(storageError("aborted", "as asked"));
  stage.until(() => outcomes.length > 1);
  assert.equal(outcomes[1], "lively operation aborted: as asked");
});

Deno.test("a helper that takes long to come up is no storage that hangs", () => {
  using scratch = new Scratch();
  const go = scratch.file("go");
  const held = 'while [ ! -e "$0" ]; do sleep 0.05; done; exec "$@"';
  const helper = [process.execPath, "run", "-A", "--no-check", MAIN];
  using stage = new Stage(["/bin/sh", "-c", held, go, ...helper]);
  const limit = 3000;
  stage.stopTime();
  const asked = stage.do(echo, "all", "here", limit);
  stage.pass(limit + 200);
  assert.equal(asked.outcome, undefined);
  scratch.write("go");
  stage.until(() => asked.outcome !== undefined);
  assert.deepEqual(asked.outcome, { result: "all" });
});

Deno.test("a program with a time limit of its own is waited for, though it says nothing", () => {
  using stage = new Stage();
  using scratch = new Scratch();
  const [begun, go] = [scratch.file("begun"), scratch.file("go")];
  const ready = stage.do(echo, 1);
  stage.until(() => ready.outcome !== undefined);
  stage.stopTime();
  let outcome: unknown;
  const work = stage.workers.run({
    operation: limited,
    args: { argv: ["sh", "-c", `: >${begun}; while [ ! -e ${go} ]; do sleep 0.05; done`], limit: 60_000 },
    place: "here",
    silence: 2000,
    done: (result) => outcome = result,
    failed: ({ message }) => outcome = message,
  });
  stage.until(() => existsSync(begun));
  for (let second = 0; second < 4; second++) stage.passWhenHeard(work, 1000);
  assert.equal(outcome, undefined);
  scratch.write("go");
  stage.until(() => outcome !== undefined);
  assert.deepEqual(outcome, { kind: "exited", code: 0, stdout: "", stderr: "" });
});

Deno.test("what undoes something runs to its end though nobody wants the result any more", () => {
  using stage = new Stage();
  using scratch = new Scratch();
  const [begun, witness] = [scratch.file("begun"), scratch.file("witness")];
  let outcome: unknown;
  const work = stage.workers.run({
    operation: undone,
    args: {
      argv: ["sh", "-c", `touch ${begun}; sleep 1000`],
      undo: ["sh", "-c", `sleep 0.3; echo undone >${witness}`],
    },
    place: "here",
    done: (result) => outcome = result,
    failed: ({ message }) => outcome = message,
  });
  stage.until(() => existsSync(begun));
  work.cancel(storageError("aborted", "as asked"));
  stage.until(() => outcome !== undefined);
  assert.equal(outcome, "operation aborted: as asked");
  assert.equal(Deno.readTextFileSync(witness), "undone\n");
});

Deno.test("what was given up is over when its process has gone, and anything else before its result", () => {
  using stage = new Stage();
  const told: string[] = [];
  const begin = <A>(operation: Operation<A, unknown>, args: A, place: string) =>
    stage.workers.run({
      operation,
      args,
      place,
      done: () => told.push(`${place} done`),
      failed: ({ code }) => told.push(`${place} ${code}`),
      over: () => told.push(`${place} over`),
    });
  begin(echo, 1, "well");
  stage.until(() => told.length === 2);
  begin(refuse, "gone", "refused");
  stage.until(() => told.length === 4);
  const work = begin(hang, null, "hung");
  assert.equal(work.silentFor, undefined);
  stage.until(() => work.running);
  assert.ok((work.silentFor ?? -1) >= 0);
  work.giveUp(5000);
  assert.equal(told.at(-1), "hung 68");
  stage.until(() => told.length === 6);
  begin(die, null, "dead");
  stage.until(() => told.length === 8);
  assert.deepEqual(told, [
    "well over",
    "well done",
    "refused over",
    "refused 49",
    "hung 68",
    "hung over",
    "dead over",
    "dead 9",
  ]);
});

Deno.test("parts that are sent ahead of a result come first, in their order", () => {
  using stage = new Stage();
  const parts: number[] = [];
  let result: unknown;
  stage.workers.run({
    operation: inBatches,
    args: 3,
    place: "here",
    batch: (bytes) => parts.push(bytes.length, bytes[0] as number),
    done: (value) => result = value,
    failed: ({ message }) => result = message,
  });
  stage.until(() => result !== undefined);
  assert.equal(result, "all");
  assert.deepEqual(parts, [65535, 1, 65535, 2, 65535, 3]);
});

/** The process that a program has written its number of into a file. */
async function processIn(stage: Stage, path: string): Promise<number> {
  stage.until(() => existsSync(path) && Deno.readTextFileSync(path).endsWith("\n"));
  return Number(await Deno.readTextFile(path));
}

/** Whether a process has ended; an orphan may wait for somebody who reaps it. */
function hasEnded(pid: number): boolean {
  try {
    return / [ZX] /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return true;
  }
}

Deno.test("what a helper's program has started ends with it when it is cancelled", async () => {
  using scratch = new Scratch();
  using stage = new Stage();
  const path = scratch.file("pid");
  let outcome: unknown;
  const work = stage.workers.run({
    operation: program,
    args: ["sh", "-c", `sleep 1000 & echo $! >${path}; wait`],
    place: "here",
    done: (result) => outcome = result,
    failed: ({ message }) => outcome = message,
  });
  const pid = await processIn(stage, path);
  work.cancel(storageError("aborted", "enough"));
  stage.until(() => outcome !== undefined);
  assert.equal(outcome, "operation aborted: enough");
  stage.until(() => hasEnded(pid));
});

Deno.test("a program does not go on when its helper is killed", async () => {
  using scratch = new Scratch();
  using stage = new Stage();
  const path = scratch.file("pid");
  const told = stage.do(program, ["sh", "-c", `echo $$ >${path}; sleep 1000; true`]);
  const pid = await processIn(stage, path);
  const helper = Number(/^PPid:\t(\d+)$/m.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]);
  Deno.kill(helper, "SIGKILL");
  stage.until(() => told.outcome !== undefined);
  stage.until(() => hasEnded(pid));
});

Deno.test("what many want at once, and is short, few helpers do", () => {
  using stage = new Stage();
  // However slow this machine is, it is short.
  stage.stopTime();
  const told = Array.from({ length: 60 }, (_, index) => stage.do(echo, index, `place ${index}`));
  let most = 0;
  stage.until(() => {
    most = Math.max(most, stage.workers.size);
    return told.every(({ outcome }) => outcome !== undefined);
  });
  assert.deepEqual(told.map(({ outcome }) => outcome), told.map((_, index) => ({ result: index })));
  assert.equal(most, 4);
});

Deno.test("what takes long gets more helpers, up to their number", () => {
  using stage = new Stage();
  const ready = Array.from({ length: 4 }, (_, index) => stage.do(echo, index, `place ${index}`));
  stage.until(() => ready.every(({ outcome }) => outcome !== undefined));
  stage.stopTime();
  const hung = Array.from({ length: 6 }, (_, index) => stage.do(hang, null, `bad ${index}`, 15_000));
  const well = stage.do(echo, 1, "good");
  // In this time it would be seen to three more, however long those take to come up.
  for (let looks = 0; looks < 10; looks++) stage.pass(300);
  stage.until(() => well.outcome !== undefined);
  assert.deepEqual(well.outcome, { result: 1 });
  assert.deepEqual(hung.map(({ outcome }) => outcome), hung.map(() => undefined));
  stage.until(() => {
    stage.pass(1000);
    return hung.every(({ outcome }) => outcome !== undefined);
  });
});

Deno.test("jobs leave helpers to questions, and those of one pool to those of others", () => {
  // Takes what it is sent, and answers nothing.
  using stage = new Stage(["/bin/sh", "-c", "exec cat <&3 >/dev/null"]);
  const begin = (place: string, jobOf?: string) =>
    stage.workers.run({
      operation: echo,
      args: null,
      place,
      ...jobOf === undefined ? {} : { jobOf },
      done: () => {},
      failed: () => {},
    });
  const running = (works: readonly { readonly running: boolean }[]) =>
    works.filter((work) => work.running).length;
  const first = Array.from({ length: 40 }, (_, index) => begin(`first ${index}`, "a"));
  const second = Array.from({ length: 40 }, (_, index) => begin(`second ${index}`, "b"));
  stage.until(() => running(first) + running(second) === 24);
  assert.deepEqual([running(first), running(second)], [16, 8]);
  const question = begin("question");
  stage.until(() => question.running);
});

/** Runs a program that is given up after so many ms without a sign of life. */
function patient(stage: Stage, script: string, silence: number): { outcome: unknown; work: Work } {
  const told: { outcome: unknown } = { outcome: undefined };
  const work = stage.workers.run({
    operation: program,
    args: ["sh", "-c", script],
    place: "here",
    silence,
    hung: "it does not answer",
    done: (result) => told.outcome = result,
    failed: ({ code, message }) => told.outcome = `${code} ${message}`,
  });
  return Object.assign(told, { work });
}

Deno.test("a program that reads, writes or computes is not given up, however long it says nothing", () => {
  using stage = new Stage();
  using scratch = new Scratch();
  const [file, go] = [scratch.file("f"), scratch.file("go")];
  stage.stopTime();
  const slow = patient(stage, `while [ ! -e ${go} ]; do echo >>${file}; sleep 0.1; done`, 5000);
  stage.until(() => existsSync(file));
  // Each piece is well within the limit, all of them are far beyond it.
  for (let pieces = 0; pieces < 4; pieces++) stage.passWhenHeard(slow.work, 2000);
  assert.equal(slow.outcome, undefined);
  scratch.write("go");
  stage.until(() => slow.outcome !== undefined);
  assert.deepEqual(slow.outcome, { kind: "exited", code: 0, stdout: "", stderr: "" });
});

Deno.test("a program that does nothing at all is given up, and everything that it has started ended", async () => {
  using stage = new Stage();
  using scratch = new Scratch();
  const path = scratch.file("pid");
  stage.stopTime();
  const stuck = patient(stage, `sleep 1000 & echo $! >${path}; wait`, 5000);
  const pid = await processIn(stage, path);
  stage.until(() => {
    stage.pass(1000);
    return stuck.outcome !== undefined;
  });
  assert.equal(stuck.outcome, "68 Timed out during operation: it does not answer");
  stage.until(() => hasEnded(pid));
});
