// Runs the storage daemon in this process, in the current directory, and fails its calls one after the other.
// One line of JSON for each path.
import { EAGAIN, strerror } from "../../src/os/errno.ts";
import type { Sys } from "../../src/os/sys.ts";
import { PoolProcedure } from "../../src/storaged/wire/remote_protocol.ts";
import { MINUTE_OF_TURNS, type Outcome, type Part } from "./scripted_client.ts";
import type { Fault } from "./fault_sys.ts";
import { describe, everyFault, type PathResult, tellResults } from "./results.ts";
import type { Script } from "./stage.ts";
import { StorageActor } from "./storage_actor.ts";
import { deepest, type StoragePath, storagePaths, tidy } from "./storage_paths.ts";
import { StorageDaemonStage, type StorageEnd } from "./storage_stage.ts";

/** Of a call that a path makes over and over, the first so many are failed. */
const MOST_OF_A_CALL = 4;
/** Helpers come and go as they are needed. */
const OF_HELPERS: readonly (keyof Sys)[] = ["socketPair", "pidfdOpen"];

const stage = new StorageDaemonStage();

function reason(error: unknown): string {
  return error instanceof Error ? error.stack ?? error.message : String(error);
}

function opened(): Map<keyof Sys, number> {
  const counts = new Map<keyof Sys, number>();
  for (const call of stage.faults.open.values()) {
    if (!OF_HELPERS.includes(call)) counts.set(call, (counts.get(call) ?? 0) + 1);
  }
  return counts;
}

/** A client that gets in. */
function* client(): Part<StorageActor> {
  const actor = new StorageActor(stage.socket);
  const begun = yield* actor.begin();
  if (begun.kind !== "ok") throw new Error(`A client does not get in: ${JSON.stringify(begun)}`);
  return actor;
}

/** An answer is one: done, refused with a text, or a connection that has ended. */
function judge(outcome: Outcome, fired: boolean): void {
  if (outcome.kind === "silent") throw new Error("There was no answer");
  if (outcome.kind === "refused" && (outcome.code <= 0 || outcome.message === "")) {
    throw new Error("A refusal without a text");
  }
  if (outcome.kind !== "ok" && !fired) throw new Error(`Without a fault: ${JSON.stringify(outcome)}`);
}

/** What came of a performance. */
interface Performance {
  readonly counts: ReadonlyMap<keyof Sys, number>;
  readonly fired: boolean;
}

/** A path under a fault. Then everything works, and nothing is left open. */
function* perform(path: StoragePath, fault: Fault | undefined): Part<Performance> {
  const before = opened();
  const actor = yield* client();
  yield* path.prepare(actor, stage.directory);
  stage.faults.arm(fault);
  const outcome = yield* path.act(actor, stage.directory, stage);
  const performance = stage.faults.disarm();
  judge(outcome, performance.fired);
  actor.close();
  const next = yield* client();
  yield* tidy(next);
  yield* deepest(next, stage.directory);
  next.close();
  const left = () => [...opened()].filter(([call, count]) => count > (before.get(call) ?? 0));
  for (let turn = 0; left().length > 0; turn++) {
    if (turn > MINUTE_OF_TURNS) throw new Error(`Left open are ${left().join(" ")}`);
    yield 5;
  }
  return performance;
}

/** All faults on one path, one after the other in one daemon, as long as it lives. */
function runPath(path: StoragePath): PathResult {
  const result: PathResult = { path: path.name, faults: 0, problems: [] };
  let queue: (Fault | undefined)[] = [undefined];
  let current: Fault | undefined;
  const problem = (what: string) =>
    result.problems.push(`${current === undefined ? "Without a fault" : describe(current)}: ${what}`);
  const script = function* (): Script {
    // A helper is there: what it takes to start one is a path of its own.
    const first = yield* client();
    yield* tidy(first);
    yield* deepest(first, stage.directory);
    first.close();
    while (queue.length > 0) {
      current = queue.shift();
      try {
        const { counts, fired } = yield* perform(path, current);
        if (current === undefined) queue = everyFault(counts, MOST_OF_A_CALL);
        else if (fired) result.faults++;
      } catch (error) {
        problem(reason(error));
        // Nobody knows what state it is in.
        return;
      }
    }
  };
  while (queue.length > 0) {
    const end = stage.run(script());
    stage.faults.disarm();
    if (end.kind !== "stopped") problem(ended(end));
  }
  return result;
}

function ended(end: StorageEnd): string {
  switch (end.kind) {
    case "stopped":
      return `the daemon stopped with code ${end.code}`;
    case "refused":
      return `the daemon did not start: ${end.message}`;
    case "died":
      return `the daemon died: ${reason(end.error)}`;
  }
}

/** Every call of a start fails once: it starts all the same, or says why not, and starts the next time. */
function runStart(): PathResult {
  const result: PathResult = { path: "start", faults: 0, problems: [] };
  let found: Performance = { counts: new Map(), fired: false };
  const script = function* (): Script {
    found = stage.faults.disarm();
    const actor = yield* client();
    const outcome = yield* actor.ask(PoolProcedure.NUM_OF_POOLS);
    // Who cannot take the pools over says so.
    judge(outcome, true);
    actor.close();
  };
  const start = (fault: Fault | undefined) => {
    stage.faults.arm(fault);
    const end = stage.run(script());
    if (end.kind !== "stopped") found = stage.faults.disarm();
    return end;
  };
  const first = start(undefined);
  if (first.kind !== "stopped") result.problems.push(ended(first));
  for (const fault of everyFault(found.counts, MOST_OF_A_CALL)) {
    // That is how the kernel says that another daemon is there.
    if (fault.errno === EAGAIN) continue;
    const end = start(fault);
    if (found.fired) result.faults++;
    if (end.kind === "died" || end.kind === "refused" && !end.message.includes(strerror(fault.errno))) {
      result.problems.push(`${describe(fault)}: ${ended(end)}`);
    }
    const next = start(undefined);
    if (next.kind !== "stopped") result.problems.push(`After ${describe(fault)}: ${ended(next)}`);
  }
  return result;
}

const runs: [string, () => PathResult][] = [
  ...storagePaths.map((path): [string, () => PathResult] => [path.name, () => runPath(path)]),
  ["start", runStart],
];
tellResults(runs, Deno.args);
// Whatever is still open in the runtime does not matter.
Deno.exit(0);
