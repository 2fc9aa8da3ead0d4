// Runs the daemon in this process, in the current directory, and fails its calls one after the other. One
// line of JSON for each path.
import { isTripwire } from "../../src/lockd/store/tripwires.ts";
import { EAGAIN, ECONNREFUSED, ESRCH, strerror } from "../../src/os/errno.ts";
import type { Sys } from "../../src/os/sys.ts";
import { LockProcedure } from "../../src/lockd/wire/lock_protocol.ts";
import { encodeCreateLockspace } from "../support/lock_codec.ts";
import type { Fault } from "./fault_sys.ts";
import { Guest } from "./guest.ts";
import { paths } from "./paths.ts";
import { ConnectionLost, type Path, Play } from "./play.ts";
import { describe, everyFault, type PathResult, tellResults } from "./results.ts";
import { MINUTE_OF_TURNS } from "./scripted_client.ts";
import { type End, type Script, Stage } from "./stage.ts";

/** Of a call that a path makes over and over, the first so many are failed. */
const MOST_OF_A_CALL = 10;

const STORE_OPTION = "--store";
const stage = new Stage(Deno.args.includes(STORE_OPTION));
const wanted = Deno.args.filter((argument) => argument !== STORE_OPTION);

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function* prepare(): Generator<number, void, void> {
  const play = new Play(stage, undefined);
  const client = yield* play.client();
  const path = play.lockspace;
  yield* play.must(
    client.ask(LockProcedure.CREATE_LOCKSPACE, (writer) => encodeCreateLockspace(writer, { path })),
    "CREATE_LOCKSPACE",
  );
  play.end();
  yield 5;
}

/** A performance; afterwards nothing may be left over. */
function* perform(path: Path, fault: Fault | undefined): Generator<number, Play, void> {
  const before = opened();
  const stored = stage.store?.names ?? [];
  const play = new Play(stage, fault);
  try {
    yield* path.play(play);
  } catch (error) {
    if (!(error instanceof ConnectionLost)) throw error;
    yield* play.endAll();
  } finally {
    stage.faults.disarm();
    play.end();
  }
  const reason = play.unexplained();
  if (reason !== undefined) throw new Error(reason);
  // The newest tripwire takes another place, under another name, from time to time.
  const kept = () => (stage.store?.names ?? []).filter((name) => !stored.includes(name) && !isTripwire(name));
  // A manager that refuses messages is not told what to forget.
  for (let turn = 0; kept().length > 0 && fault?.errno !== ECONNREFUSED; turn++) {
    if (turn > MINUTE_OF_TURNS) throw new Error(`Left over in the store are ${kept().join(", ")}`);
    yield 5;
  }
  const left = () =>
    [...opened()].flatMap(([call, count]) => Math.max(0, count - (before.get(call) ?? 0)) || []);
  for (let turn = 0; left().length > 0; turn++) {
    if (turn > MINUTE_OF_TURNS) {
      throw new Error(`Left over are ${[...opened()].join(" ")}, before ${[...before].join(" ")}`);
    }
    yield 5;
  }
  return play;
}

/**
 * How many descriptors of each call are open. Without those of two kinds: whoever is refused a lock that no
 * file shows has a storage helper look for its holder, which stays for a while; and a process is watched
 * until it ends.
 */
function opened(): Map<keyof Sys, number> {
  const counts = new Map<keyof Sys, number>();
  for (const [fd, call] of stage.faults.open) {
    if (call === "socketPair" || stage.processes.names(fd)) continue;
    counts.set(call, (counts.get(call) ?? 0) + 1);
  }
  // Of each tripwire in the store one end is here. The newest comes two seconds after something was stored.
  const tripwires = (stage.store?.names ?? []).filter(isTripwire).length;
  if (tripwires > 0) counts.set("pipe", Math.max(0, (counts.get("pipe") ?? 0) - tripwires));
  return counts;
}

/** All faults on one path, one after the other in one daemon, as long as it lives. */
function runPath(path: Path): PathResult {
  const result: PathResult = { path: path.name, faults: 0, problems: [] };
  let queue: (Fault | undefined)[] = [undefined];
  let current: Fault | undefined;
  const problem = (what: string) =>
    result.problems.push(`${current === undefined ? "Without a fault" : describe(current)}: ${what}`);
  const script = function* (): Script {
    yield* prepare();
    while (queue.length > 0) {
      current = queue.shift();
      try {
        const play = yield* perform(path, current);
        if (current === undefined) queue = everyFault(play.counts, MOST_OF_A_CALL);
        else if (play.fired) result.faults++;
        // The next one works.
        if (current !== undefined) yield* perform(path, undefined);
      } catch (error) {
        problem(reason(error));
        // Nobody knows what state it is in.
        return;
      }
    }
  };
  while (queue.length > 0) {
    const end = stage.run(script());
    if (end.kind !== "stopped") problem(ended(end));
    stage.clear();
  }
  return result;
}

function ended(end: End): string {
  switch (end.kind) {
    case "killed":
      return "the daemon was killed";
    case "stopped":
      return `the daemon stopped with code ${end.code}`;
    case "refused":
      return `the daemon did not start: ${end.message}`;
    case "died":
      return `the daemon died: ${end.error instanceof Error ? end.error.stack : end.error}`;
  }
}

/**
 * Every call of a start fails once: the daemon starts all the same, or says why not, and starts the next
 * time.
 */
function runStart(): PathResult {
  const result: PathResult = { path: "start", faults: 0, problems: [] };
  let counts: ReadonlyMap<keyof Sys, number> = new Map();
  let fired = false;
  const script = function* (): Script {
    ({ counts, fired } = stage.faults.disarm());
    yield* prepare();
  };
  const start = (fault: Fault | undefined) => {
    stage.faults.arm(fault);
    const end = stage.run(script());
    if (end.kind !== "stopped") ({ fired } = stage.faults.disarm());
    stage.clear();
    return end;
  };
  const first = start(undefined);
  if (first.kind !== "stopped") result.problems.push(ended(first));
  for (const fault of everyFault(counts, MOST_OF_A_CALL)) {
    // That is how the kernel says that another daemon is there.
    if (fault.errno === EAGAIN) continue;
    let end: End;
    try {
      end = start(fault);
    } catch (error) {
      result.problems.push(`${describe(fault)}: ${reason(error)}`);
      stage.clear();
      continue;
    }
    if (fired) result.faults++;
    if (end.kind === "died") result.problems.push(`${describe(fault)}: ${ended(end)}`);
    if (end.kind === "refused" && !end.message.includes(strerror(fault.errno))) {
      result.problems.push(`${describe(fault)}: ${ended(end)}`);
    }
    const next = start(undefined);
    if (next.kind !== "stopped") result.problems.push(`After ${describe(fault)}: ${ended(next)}`);
  }
  return result;
}

/**
 * Every call fails once with which a new image takes over from the one before: it has all locks, or says why
 * not.
 */
function runTakeOver(): PathResult {
  const result: PathResult = { path: "take over", faults: 0, problems: [] };
  let counts: ReadonlyMap<keyof Sys, number> = new Map();
  let fired = false;
  const script = function* (fault: Fault): Script {
    yield* prepare();
    const play = new Play(stage, undefined);
    const client = yield* play.client();
    yield* play.must(client.resource(LockProcedure.ACQUIRE_RESOURCE, play.lockspace, "kept", 2), "ACQUIRE");
    stage.faultOfNextImage = fault;
    const before = stage.executions;
    stage.signal(10);
    for (let turn = 0; stage.executions === before; turn++) {
      if (turn > MINUTE_OF_TURNS) throw new Error(`It is not executed; the log: ${play.logged}`);
      yield 5;
    }
    ({ counts, fired } = stage.faults.disarm());
    play.expect("kept", "exclusive", "After the exec");
    yield* play.must(client.resource(LockProcedure.RELEASE_RESOURCE, play.lockspace, "kept"), "RELEASE");
    const after = play.lockOn("kept");
    if (after !== "absent" && !(after === "none" && /could not be/.test(play.logged))) {
      throw new Error(`After RELEASE: the kernel's lock is ${after}; the log: ${play.logged}`);
    }
    play.end();
    yield 5;
  };
  const run = (fault: Fault): End => {
    try {
      return stage.run(script(fault));
    } finally {
      if (!fired) ({ fired } = stage.faults.disarm());
      stage.clear();
      stage.forgetState();
    }
  };
  run({ call: "pid", nth: 1_000_000, errno: 1 });
  for (const fault of everyFault(counts, MOST_OF_A_CALL)) {
    fired = false;
    try {
      const end = run(fault);
      if (end.kind === "died") result.problems.push(`${describe(fault)}: ${ended(end)}`);
      else if (end.kind === "refused" && !end.message.includes(strerror(fault.errno))) {
        result.problems.push(`${describe(fault)}: ${ended(end)}`);
      }
    } catch (error) {
      result.problems.push(`${describe(fault)}: ${reason(error)}`);
    }
    if (fired) result.faults++;
  }
  return result;
}

/**
 * Every call fails once with which a daemon finds out what one that was killed had, without a store: the lock
 * of a guest that lives is taken again, or said to be lost with the reason, and never given up because its
 * process could not be looked at.
 */
function runRecovery(): PathResult {
  const result: PathResult = { path: "recovery", faults: 0, problems: [] };
  let counts: ReadonlyMap<keyof Sys, number> = new Map();
  let fired = false;
  const killed = function* (guest: Guest): Script {
    yield* prepare();
    const play = new Play(stage, undefined);
    const libvirtd = yield* play.client(Deno.pid);
    yield* play.must(libvirtd.register(guest.pid), "REGISTER");
    yield* play.must(libvirtd.resource(LockProcedure.ACQUIRE_RESOURCE, play.lockspace, "kept", 2), "ACQUIRE");
    stage.kill();
    yield 5;
  };
  const next = function* (guest: Guest, log: number): Script {
    ({ counts, fired } = stage.faults.disarm());
    const play = new Play(stage, undefined);
    const logged = stage.logSince(log);
    const isLost = /LOST 1 lock/.test(logged);
    if (!isLost) play.expect("kept", "exclusive", "While the guest lives");
    // Nobody can reach it, and it goes on for the locks alone.
    if (/Started in spite of this/.test(logged)) return;
    const other = yield* play.client();
    if (isLost) {
      const asked = yield* other.resource(LockProcedure.ACQUIRE_RESOURCE, play.lockspace, "kept", 2);
      if (asked.kind !== "refused") throw new Error("Another guest got a lost lock while its guest lives");
    }
    guest.end();
    if (/'kept' .* is kept: nothing tells whether/.test(logged)) {
      yield* play.must(other.register(guest.pid), "REGISTER");
      yield* play.must(other.resource(LockProcedure.RELEASE_RESOURCE, play.lockspace, "kept"), "RELEASE");
    }
    yield* play.until("the lock to go with the guest", () => play.lockOn("kept") === "absent");
    play.end();
    yield 5;
  };
  const run = (fault: Fault) => {
    const guest = new Guest();
    let log = 0;
    // What was mapped by an image that another one has followed still holds its lock here.
    stage.forgetJournal();
    try {
      const first = stage.run(killed(guest));
      if (first.kind !== "killed") throw new Error(ended(first));
      log = stage.logLength;
      stage.faults.arm(fault);
      const end = stage.run(next(guest, log));
      if (end.kind === "refused") {
        ({ fired } = stage.faults.disarm());
        if (!end.message.includes(strerror(fault.errno))) throw new Error(ended(end));
      } else if (end.kind !== "stopped") throw new Error(ended(end));
    } catch (error) {
      result.problems.push(`${describe(fault)}: ${reason(error)}; the log: ${stage.logSince(log)}`);
    } finally {
      guest.end();
      stage.clear();
      stage.forgetJournal();
    }
  };
  run({ call: "pid", nth: 1_000_000, errno: 1 });
  for (const fault of everyFault(counts, MOST_OF_A_CALL)) {
    // That is how the kernel says that another daemon is there, that somebody else has the lock, or that the
    // guest has ended.
    if (fault.errno === EAGAIN || fault.errno === ESRCH) continue;
    fired = false;
    run(fault);
    if (fired) result.faults++;
  }
  return result;
}

const runs: [string, () => PathResult][] = [
  ...paths.map((path): [string, () => PathResult] => [path.name, () => runPath(path)]),
  ["start", runStart],
  ["take over", runTakeOver],
  ["recovery", runRecovery],
];
tellResults(runs, wanted);
// Whatever is still open in the runtime does not matter.
Deno.exit(0);
