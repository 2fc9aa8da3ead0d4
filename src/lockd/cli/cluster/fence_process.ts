import { CommandError, CommandExit } from "../../../chassis/cli/command.ts";
import { runAlone } from "../../../chassis/children/lone_program.ts";
import { plainText } from "../../../chassis/log/plain_text.ts";
import { lastingEnvironment } from "../../../chassis/start/self.ts";
import { DAEMON_SIGNALS } from "../../../chassis/start/signals.ts";
import { LineReader } from "../../../base/line_reader.ts";
import { EAGAIN } from "../../../os/errno.ts";
import type { Sys } from "../../../os/sys.ts";
import { decodeText, encodeText } from "../../../os/text.ts";
import {
  decodeFenceTask,
  encodeFenceLine,
  FENCE_PROTOCOL,
  type FenceEnd,
  type FenceNews,
  type FenceTask,
  LONGEST_FENCE_LINE,
} from "../../cluster/fencing/fence_messages.ts";
import { wrongWithProgram } from "../../cluster/fencing/fence_program.ts";
import { ClusterKeys } from "../../cluster/keys/keys.ts";
import { EtcdLink } from "./etcd_link.ts";
import { EtcdQuestions } from "./etcd_questions.ts";
import { FenceRun } from "./fence_run.ts";
import { LastingLink } from "./lasting_link.ts";

const NAME = "virtlockd-fence";
/** The daemon's connection, as the service manager passes it. */
const CONNECTION = 0;
const TASK_MS = 10_000;
/** Bytes that are kept of what the program writes. One that writes more is killed, and has not fenced. */
const MAX_OUTPUT = 1024 * 1024;
/** Time limit of a lease, in ms. */
const LEASE_MS = 4000;

/**
 * The process that fences one host, in a unit of its own: the daemon may start no program, and is never kept
 * waiting. It gets one task over its standard input, a socket, tells there how far it is, and ends.
 *
 * It ends too when the daemon has gone, before the program is run; a program that runs is waited for, and its
 * word is kept.
 *
 * @param env `NAME=value`, for the program
 * @returns exit code
 */
export function runFencing(sys: Sys, env: readonly string[]): number {
  sys.setThreadName(NAME);
  sys.blockSignals(DAEMON_SIGNALS);
  const tell = (news: FenceNews) => {
    const text = plainText(JSON.stringify(news));
    console.error(text);
    // A daemon that has gone hears of it by the cluster.
    sys.send(CONNECTION, encodeText(encodeFenceLine(news)));
  };
  const line = readTask(sys);
  const task = line === undefined ? undefined : decodeFenceTask(line);
  if (task === undefined) {
    tell({ kind: "failed", reason: `the daemon has sent no task of version ${FENCE_PROTOCOL}` });
    return 1;
  }
  const end = fenced(sys, env, task, tell);
  tell(end);
  return end.kind === "failed" ? 1 : 0;
}

function fenced(
  sys: Sys,
  env: readonly string[],
  task: FenceTask,
  tell: (news: FenceNews) => void,
): FenceEnd {
  try {
    using link = new LastingLink({
      open: () => EtcdLink.open(sys, { path: task.link, env }, task.endpoints),
      pause: (milliseconds) => void sys.pollReadable(-1, milliseconds),
      clock: () => sys.monotonic(),
    });
    return new FenceRun({
      task,
      questions: new EtcdQuestions(link),
      keys: new ClusterKeys(task.cluster),
      lease: (seconds) => leaseOf(link, seconds),
      nonce: () => crypto.randomUUID(),
      clock: () => sys.monotonic(),
      now: () => Date.now(),
      pause: (milliseconds) => pauseWanted(sys, milliseconds),
      tell: (stage) => tell({ kind: "stage", stage }),
      wrongWith: (program) => wrongWithProgram(sys, program),
      execute: (argv, variables) => {
        const given = Object.entries(variables).map(([name, value]) => `${name}=${value}`);
        const command = { path: task.command, argv, env: [...outside(env), ...given] };
        const result = runAlone(sys, command, task.limitMs, MAX_OUTPUT);
        if (result.kind === "ended" && result.output !== "") {
          console.error(plainText(result.output.trimEnd()));
        }
        return result;
      },
    }).run();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { kind: "failed", reason: error.message };
  }
}

/** The program does not get what is meant for this process, nor what would pass for this process's word. */
function outside(env: readonly string[]): string[] {
  return lastingEnvironment(env).filter((entry) =>
    !entry.startsWith("NOTIFY_SOCKET=") && !entry.startsWith("VIRTLOCKD_FENCE_")
  );
}

/** @throws CommandError */
function leaseOf(link: Pick<LastingLink, "ask">, seconds: number): string {
  const answer = link.ask({ kind: "grant-lease", seconds }, LEASE_MS);
  if (answer.kind === "lease") return answer.lease;
  const reason = "reason" in answer ? answer.reason : answer.kind;
  throw new CommandError(CommandExit.UNREACHABLE, `etcd gives no lease: ${reason}`);
}

/** Waits while the daemon is there. Nothing comes from it, so its connection tells only of its end. */
function pauseWanted(sys: Pick<Sys, "pollReadable">, milliseconds: number): void {
  if (sys.pollReadable(CONNECTION, milliseconds) === 0) return;
  throw new CommandError(CommandExit.PROBLEM, "the daemon does not want it any more");
}

/** @returns undefined when none comes */
function readTask(sys: Pick<Sys, "pollReadable" | "read" | "monotonic">): string | undefined {
  const lines = new LineReader(LONGEST_FENCE_LINE);
  const buffer = new Uint8Array(LONGEST_FENCE_LINE);
  const until = sys.monotonic() + TASK_MS;
  for (;;) {
    const left = Math.ceil(until - sys.monotonic());
    if (left <= 0 || sys.pollReadable(CONNECTION, left) === 0) return undefined;
    const count = sys.read(CONNECTION, buffer);
    if (count === -EAGAIN) continue;
    if (count <= 0) return undefined;
    const [line, ...more] = lines.read(buffer.slice(0, count)) ?? [];
    if (line !== undefined) return more.length === 0 ? decodeText(line, 0, line.length) : undefined;
  }
}
