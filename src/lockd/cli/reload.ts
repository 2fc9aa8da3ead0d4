import { VIRTLOCKD } from "../identity/identity.ts";
import { UsageError } from "../../chassis/config/usage_error.ts";
import { SIGUSR1 } from "../../os/constants.ts";
import { strerror } from "../../os/errno.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { decodeText } from "../../os/text.ts";
import { processCommand, processState, stackStart } from "../../os/process_state.ts";
import type { StatusDocument } from "../status/status_document.ts";
import { ForeignDaemonError } from "../../chassis/cli/admin_link.ts";
import { AdminConnection } from "./admin_connection.ts";
import type { Arguments } from "../../chassis/cli/arguments.ts";
import { faultInConfiguration } from "./configuration_in_use.ts";
import { adminSocket, CONNECT_OPTION, userPaths } from "../../chassis/cli/asking.ts";
import { type Command, type CommandContext, CommandError, CommandExit } from "../../chassis/cli/command.ts";
import { readWhole } from "../../os/read_file.ts";
import { faultOfSuccessor } from "./libvirts_successor.ts";
import { servingProcesses } from "./serving_processes.ts";
import { readStatus } from "./status.ts";

/**
 * How long it may take, in ms: the daemon tries the new program, which may take 40 s, and waits up to 10 s
 * for requests that libvirt's daemon could not go on with.
 */
const LONGEST = 60_000;
/** Between two looks, in ms. */
const LOOK_EVERY = 50;
/** An image whose admin socket does not answer is taken for one that serves after so many ms. */
const SILENT = 5000;

/** libvirt's daemon cannot be asked whether it has taken over: one that cannot has ended after so many ms. */
const STEADY = 1000;

/** What a daemon has said of itself. */
type Answer =
  | { readonly kind: "ours"; readonly status: StatusDocument }
  /** libvirt's own daemon. */
  | { readonly kind: "libvirt" }
  | { readonly kind: "silent"; readonly reason: string };

/** `virtlockd reload`: a live upgrade, with its outcome as exit code. */
export const reloadCommand: Command = {
  name: "reload",
  purpose: "Has the running daemon execute the program that is installed now, and waits until it has. " +
    "No lock and no client is dropped; when the new program is refused, everything stays and the reason is told.",
  options: [
    CONNECT_OPTION,
    {
      name: "pid",
      value: "PID",
      summary: "the daemon's process, if not that of MAINPID or of the PID file, or that of the admin socket",
    },
  ],
  run(context, args) {
    const pid = daemonPid(context, args);
    context.out.write(`${reloadDaemon(context, adminSocket(VIRTLOCKD, context, args), pid)}\n`);
    return CommandExit.OK;
  },
};

/**
 * Has a daemon execute the program that is in its place now, unless its configuration is wrong.
 *
 * @param socket its admin socket
 * @param pid its process
 * @returns what has come of it
 * @throws CommandError with why it was in vain
 */
export function reloadDaemon(
  context: Pick<CommandContext, "sys" | "env">,
  socket: string,
  pid: number,
): string {
  const fault = faultBefore(context, socket);
  if (fault !== undefined) {
    throw failed(`Nothing was reloaded, virtlockd goes on with its old settings: ${fault}`);
  }
  return new Reload(context.sys, socket, pid).run();
}

/** What is wrong with the configuration of the daemon that runs: its next image would leave that out. */
function faultBefore(
  { sys, env }: Pick<CommandContext, "sys" | "env">,
  socket: string,
): string | undefined {
  try {
    using daemon = AdminConnection.connect(sys, socket);
    return faultInConfiguration(sys, env, readStatus(daemon));
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
}

/** Has a daemon execute the program that is in its place now, and looks what comes of it. */
export class Reload {
  readonly #sys: Sys;
  readonly #socket: string;
  readonly #pid: number;
  readonly #successor: "any" | "libvirt";

  /**
   * @param socket its admin socket
   * @param pid its process
   * @param successor whose program is in its place: libvirt's would log our questions as errors
   */
  constructor(sys: Sys, socket: string, pid: number, successor: "any" | "libvirt" = "any") {
    this.#successor = successor;
    this.#sys = sys;
    this.#socket = socket;
    this.#pid = pid;
  }

  /** @returns what has come of it. @throws CommandError with why it was in vain */
  run(): string {
    const sys = this.#sys;
    const pid = this.#pid;
    const before = this.#ask();
    if (before.kind === "ours" && before.status.pid !== pid) {
      throw failed(
        `Process ${before.status.pid} serves at ${this.#socket}, but ${pid} was to be reloaded: see 'virtlockd doctor'`,
      );
    }
    if (before.kind === "libvirt") {
      const fault = faultOfSuccessor(sys, pid);
      if (fault !== undefined) {
        throw failed(`Nothing was signalled, libvirt's own virtlockd (process ${pid}) goes on: ${fault}`);
      }
    }
    const image = stackStart(sys, pid);
    const signalled = sys.kill(pid, SIGUSR1);
    if (signalled < 0) throw failed(`Signal virtlockd (process ${pid}): ${strerror(-signalled)}`);
    const begun = sys.monotonic();
    let executed: number | undefined;
    let asked = begun + STEADY;
    while (sys.monotonic() - begun < LONGEST) {
      sys.pollReadable(-1, LOOK_EVERY);
      if (processState(sys, pid)?.exiting !== false) {
        throw failed(
          `virtlockd (process ${pid}) has ended instead of executing the new program. Running guests may have ` +
            "lost their locks: see 'journalctl -u virtlockd' and 'virtlockd doctor'",
        );
      }
      if (stackStart(sys, pid) !== image) executed ??= sys.monotonic();
      // libvirt's daemon must not have a client that it does not know while it hands over: it would exit.
      if (before.kind === "libvirt" && executed === undefined) continue;
      if (this.#successor === "libvirt" && sys.monotonic() < (executed ?? asked) + STEADY) continue;
      const now = this.#ask();
      asked = sys.monotonic();
      const outcome = this.#outcome(before, now, executed);
      if (outcome !== undefined) return outcome;
    }
    throw failed(
      executed === undefined
        ? `virtlockd (process ${pid}) has not executed the new program within ${
          LONGEST / 1000
        } s and goes on ` +
          "with the old one: its log says why (journalctl -u virtlockd)"
        : `virtlockd (process ${pid}) has executed the new program, which does not answer: see 'journalctl -u virtlockd'`,
    );
  }

  /** Undefined as long as it is not known. */
  #outcome(before: Answer, now: Answer, executed: number | undefined): string | undefined {
    switch (now.kind) {
      case "ours": {
        const { version, reExecs, reExecFailures = 0, lastReExecFailure = "" } = now.status;
        const was = before.kind === "ours" ? before.status : undefined;
        if (was !== undefined && reExecFailures > (was.reExecFailures ?? 0)) {
          throw failed(
            `The new program was not executed, and virtlockd ${version} goes on with every lock: ${lastReExecFailure}`,
          );
        }
        const done = was === undefined ? executed !== undefined : reExecs > was.reExecs;
        if (!done) return undefined;
        const from = was === undefined || was.version === version ? "" : `, ${was.version} before`;
        return `virtlockd ${version} has taken over (process ${this.#pid}${from})`;
      }
      case "libvirt":
        return executed === undefined || this.#sys.monotonic() - executed < STEADY
          ? undefined
          : `libvirt's own virtlockd has taken over (process ${this.#pid})`;
      case "silent":
        if (executed === undefined || this.#sys.monotonic() - executed < SILENT) return undefined;
        return `virtlockd was executed anew (process ${this.#pid}), but cannot be asked: ${now.reason}`;
    }
  }

  #ask(): Answer {
    if (isLibvirts(this.#sys, this.#pid)) return { kind: "libvirt" };
    try {
      using daemon = AdminConnection.connect(this.#sys, this.#socket);
      return { kind: "ours", status: readStatus(daemon) };
    } catch (error) {
      if (error instanceof ForeignDaemonError) return { kind: "libvirt" };
      if (error instanceof CommandError) return { kind: "silent", reason: error.message };
      throw error;
    }
  }
}

/** libvirt's daemon is told by its library: to ask it anything may end it while it hands over. */
function isLibvirts(sys: Sys, pid: number): boolean {
  try {
    return decodeText(readWhole(sys, `/proc/${pid}/maps`)).includes("/libvirt.so.");
  } catch (error) {
    if (error instanceof SystemError) return false;
    throw error;
  }
}

/** @throws UsageError, CommandError when there is none */
function daemonPid(context: CommandContext, args: Arguments): number {
  const { sys, env } = context;
  const named = args.value("pid");
  if (named !== undefined && !/^[1-9]\d{0,9}$/.test(named)) {
    throw new UsageError(`Option "--pid" needs the number of a process, got "${named}"`);
  }
  const given = named ?? env["MAINPID"];
  const pid = Number(given ?? readPidFile(context));
  const command = processCommand(sys, pid);
  if (command === VIRTLOCKD.name) return pid;
  if (given === undefined) return servingPid(context, adminSocket(VIRTLOCKD, context, args));
  throw command === ""
    ? noneRuns()
    : failed(`Process ${pid} is no virtlockd but ${command}: nothing was signalled`);
}

/**
 * The daemon that serves at an admin socket, which may have another PID file. Nobody connects there before it
 * is known to run: that would have the service manager start one.
 *
 * @throws CommandError when there is none, or it does not say
 */
function servingPid({ sys }: Pick<CommandContext, "sys">, socket: string): number {
  const serving = servingProcesses(sys, VIRTLOCKD.name, socket);
  if (typeof serving !== "string") {
    const [pid, ...others] = serving;
    if (pid === undefined) throw noneRuns();
    if (others.length === 0) return pid;
  }
  const why = typeof serving === "string" ? serving : `processes ${serving.join(", ")} serve at ${socket}`;
  throw failed(
    `Which process to reload is not known: no PID file of this user names one that runs, and ${why}. ` +
      "Name it with --pid",
  );
}

function noneRuns(): CommandError {
  return failed(
    "No virtlockd is running: there is nothing to reload, the next client starts the program that is installed",
  );
}

function readPidFile(context: CommandContext): string {
  try {
    return decodeText(readWhole(context.sys, userPaths(VIRTLOCKD, context).pidFile)).trim();
  } catch (error) {
    if (error instanceof SystemError) return "0";
    throw error;
  }
}

function failed(message: string): CommandError {
  return new CommandError(CommandExit.PROBLEM, message);
}
