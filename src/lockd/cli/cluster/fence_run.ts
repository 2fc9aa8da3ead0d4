import { CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import type { FenceEnd, FenceStage, FenceTask } from "../../cluster/fencing/fence_messages.ts";
import type { FencedSession } from "../../cluster/keys/fencing.ts";
import type { ClusterKeys } from "../../cluster/keys/keys.ts";
import { decodeDuty } from "../../cluster/keys/fencing_record.ts";
import { RecordError } from "../../cluster/keys/record_fields.ts";
import { encodeRecord } from "../../cluster/keys/records.ts";
import { decodeSession, type SessionRecord } from "../../cluster/keys/session_record.ts";
import type { ProgramResult } from "../../../os/program_result.ts";
import type { EtcdQuestions } from "./etcd_questions.ts";
import { Fencer } from "./fencer.ts";
import { SilentWatch, type SilentWatchParts } from "./silent_watch.ts";

/** How long whoever fences keeps others from it, beyond the program's own time, in seconds. */
const DUTY_MARGIN_S = 60;
/** How long etcd is asked to take the word of a program that has succeeded, in ms. */
const FINISH_MS = 600_000;
const AGAIN_MS = 1000;
/** A name that no program takes for an option or for several words. */
const PLAIN_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.:-]*$/;
/** Of a failed program's output, so much is told, in characters. */
const TOLD = 300;

/** What fencing a host by a program works with. */
export interface FenceRunParts {
  readonly task: FenceTask;
  readonly questions: Pick<EtcdQuestions, "get" | "list" | "change" | "pause">;
  readonly keys: ClusterKeys;
  /** A lease of so many seconds. @throws CommandError */
  readonly lease: (seconds: number) => string;
  /** Another text each time. */
  readonly nonce: () => string;
  /** Monotonic milliseconds. */
  readonly clock: () => number;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Waits. @throws CommandError when nobody wants the host to be fenced any more */
  readonly pause: (milliseconds: number) => void;
  readonly tell: (stage: FenceStage) => void;
  /** Why the program cannot be run; undefined: it can. */
  readonly wrongWith: (program: string) => string | undefined;
  /** Runs the program to its end, or kills it behind its time. */
  readonly execute: (argv: readonly string[], variables: Readonly<Record<string, string>>) => ProgramResult;
}

/**
 * Fences one host by a program, once. Everything that others rely on is a transaction that compares the
 * session's revision, so this may be killed at any moment, and may be done by several at once: the program
 * has to bear that.
 */
export class FenceRun {
  readonly #parts: FenceRunParts;
  readonly #watch: SilentWatch;

  constructor(parts: FenceRunParts) {
    this.#parts = parts;
    const { questions, keys, task: { session }, clock, pause } = parts;
    const watched: SilentWatchParts = { questions, keys, session, clock, pause };
    this.#watch = new SilentWatch(watched);
  }

  /** Does it, and says how it ended. */
  run(): FenceEnd {
    try {
      return this.#run();
    } catch (error) {
      if (!(error instanceof CommandError) && !(error instanceof RecordError)) throw error;
      return { kind: "failed", reason: error.message };
    }
  }

  #run(): FenceEnd {
    const { task: { command, silenceMs }, tell, wrongWith } = this.#parts;
    const wrong = wrongWith(command);
    if (wrong !== undefined) return { kind: "failed", reason: wrong };
    tell("watching");
    const sight = this.#watch.watch(silenceMs);
    if (sight.kind === "over") return sight;
    const { name, host } = sight.record;
    const odd = [name, host].find((text) => !PLAIN_NAME.test(text));
    if (odd !== undefined) {
      return { kind: "failed", reason: `'${odd}' is no name of a host that a program can be given` };
    }
    const crowd = this.#watch.crowd();
    if (crowd !== undefined) return { kind: "later", reason: crowd };
    const duty = this.#takeDuty(sight.entry);
    if (duty.kind === "theirs") return { kind: "later", reason: duty.reason };
    try {
      return this.#fence(sight.entry, duty.value);
    } finally {
      this.#dropDuty(duty.value);
    }
  }

  /** One host at a time: what it writes is a courtesy to others, and guards nothing. */
  #takeDuty(entry: KeyValue): { kind: "ours"; value: string } | { kind: "theirs"; reason: string } {
    const { questions, keys, lease, nonce, task } = this.#parts;
    const key = keys.duty(task.session);
    const value = encodeRecord({ by: task.from, nonce: nonce() });
    const changed = questions.change({
      compare: [
        { kind: "changed-at", key, revision: 0 },
        { kind: "changed-at", key: entry.key, revision: entry.changedAt },
      ],
      success: [{
        op: "put",
        key,
        value,
        lease: lease(Math.ceil(task.limitMs / 1000) + DUTY_MARGIN_S),
      }],
      failure: [{ op: "get", key }],
    });
    if (changed.kind === "unknown") throw silentEtcd(changed.reason);
    if (changed.result.succeeded) return { kind: "ours", value };
    const [found] = changed.result.results[0]?.found ?? [];
    return { kind: "theirs", reason: theirs(found) };
  }

  #dropDuty(value: string): void {
    const { questions, keys, task } = this.#parts;
    const key = keys.duty(task.session);
    try {
      // Where this is not known to be done the lease ends it.
      questions.change({
        compare: [{ kind: "value", key, value }],
        success: [{ op: "delete", key }],
        failure: [],
      });
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
    }
  }

  /** @param duty what was written to keep others from it */
  #fence(entry: KeyValue, duty: string): FenceEnd {
    const { task, questions, keys, pause, tell, now, wrongWith } = this.#parts;
    const word = { by: "virtlockd", from: task.from, at: now(), command: task.command };
    const asking = { get: questions.get.bind(questions), list: questions.list.bind(questions), pause };
    const fencer = new Fencer({
      questions: { ...asking, change: questions.change.bind(questions) },
      keys,
      word,
    });
    tell("condemned");
    const condemned = condemnedBy(fencer, entry);
    if (typeof condemned === "string") return { kind: "over", reason: condemned };
    // Right before the run: it must not hit a host that has come back.
    const sight = this.#watch.look();
    if (sight.kind === "over") return sight;
    const crowd = this.#watch.crowd();
    if (crowd !== undefined) return { kind: "later", reason: crowd };
    // etcd may have taken so long that the lease has ended.
    const [mine] = questions.get(keys.duty(task.session));
    if (mine?.value !== duty) return { kind: "later", reason: theirs(mine) };
    if (sight.entry.changedAt !== condemned.changedAt) {
      return { kind: "over", reason: "its session was written anew: it lives" };
    }
    const wrong = wrongWith(task.command);
    if (wrong !== undefined) return { kind: "failed", reason: wrong };
    tell("running");
    const failure = this.#execute(condemned);
    if (failure !== undefined) return { kind: "failed", reason: failure };
    return this.#finish(fencer, condemned);
  }

  /** @returns why the program has not fenced the host; undefined: it says that it has */
  #execute(condemned: KeyValue): string | undefined {
    const { task: { command, session, cluster, from, reason }, execute } = this.#parts;
    const record = decodeSession(condemned);
    const { name, host } = record;
    const end = execute([command, name, host], {
      VIRTLOCKD_FENCE_NAME: name,
      VIRTLOCKD_FENCE_HOST: host,
      VIRTLOCKD_FENCE_SESSION: session,
      VIRTLOCKD_FENCE_BOOT: record.boot,
      VIRTLOCKD_FENCE_TOKEN: String(condemned.changedAt),
      VIRTLOCKD_FENCE_DATA: dataOf(record),
      VIRTLOCKD_FENCE_CLUSTER: cluster,
      VIRTLOCKD_FENCE_FROM: from,
      VIRTLOCKD_FENCE_REASON: reason,
    });
    return failureOf(command, end);
  }

  /** The program's word is kept, however long etcd takes: the host is off by now. */
  #finish(fencer: Fencer, condemned: KeyValue): FenceEnd {
    const { questions, clock, task: { session, command } } = this.#parts;
    const until = clock() + FINISH_MS;
    for (;;) {
      try {
        const [entry] = questions.get(condemned.key);
        const state = entry === undefined ? undefined : decodeSession(entry).fencing?.state;
        if (entry !== undefined && state === "fenced") {
          return this.#freed(fencer, { key: entry.key, revision: entry.changedAt });
        }
        if (entry?.changedAt !== condemned.changedAt) {
          return {
            kind: "failed",
            reason:
              `${command} has ended with exit code 0, which says that the host cannot write any more, and its ` +
              `session ${session} was written anew since: it lives. Nothing was fenced; mend the program`,
          };
        }
        return this.#freed(fencer, fencer.finish(condemned));
      } catch (error) {
        if (!(error instanceof CommandError) || clock() >= until) throw error;
        questions.pause(AGAIN_MS);
      }
    }
  }

  #freed(fencer: Fencer, fenced: FencedSession): FenceEnd {
    try {
      return { kind: "fenced", freed: fencer.sweep(this.#parts.task.session, fenced) };
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      // Hosts that ask for what is left get it.
      return { kind: "fenced", freed: 0 };
    }
  }
}

/** @returns the session that is condemned, or why it is not: its host lives */
function condemnedBy(fencer: Fencer, entry: KeyValue): KeyValue | string {
  try {
    return fencer.condemn(entry, false);
  } catch (error) {
    if (!(error instanceof CommandError) || error.code !== CommandExit.PROBLEM) throw error;
    return error.message;
  }
}

/** Why it is not this process that fences. @param duty what is written of who does */
function theirs(duty: KeyValue | undefined): string {
  return duty === undefined
    ? "its session was changed a moment ago, or etcd was slow"
    : `host '${decodeDuty(duty).by}' is having it fenced`;
}

function dataOf({ data = "" }: SessionRecord): string {
  return data;
}

function failureOf(command: string, result: ProgramResult): string | undefined {
  if (result.kind === "failed") return `${command}: ${result.reason}`;
  return result.code === 0
    ? undefined
    : `${command} ended with exit code ${result.code}${said(result.output)}`;
}

/** The last line that it has written, which mostly tells why. */
function said(output: string): string {
  const line = output.trimEnd().split("\n").at(-1)?.trim() ?? "";
  return line === "" ? "" : `: ${line.slice(0, TOLD)}`;
}

function silentEtcd(reason: string): CommandError {
  return new CommandError(CommandExit.UNREACHABLE, `etcd does not answer: ${reason}`);
}
