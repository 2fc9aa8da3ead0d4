import { shellQuoted } from "../../base/shell_quoted.ts";
import { CommandError } from "../../chassis/cli/command.ts";
import { counted, someOf } from "../../chassis/log/counted.ts";
import { plainText } from "../../chassis/log/plain_text.ts";
import type { Sys } from "../../os/sys.ts";
import { CLIENT } from "../status/document_shapes.ts";
import type { ClientEntry, LockEntry, StatusDocument } from "../status/status_document.ts";
import { StatusProcedure } from "../wire/status_protocol.ts";
import { ForeignDaemonError, UnreachableError } from "../../chassis/cli/admin_link.ts";
import { AdminConnection } from "./admin_connection.ts";
import { aloneHolders } from "./alone_holders.ts";
import { faultInConfiguration } from "./configuration_in_use.ts";
import { holderText } from "./shown/holder_text.ts";
import { listLocks } from "./locks.ts";
import { Reload } from "./reload.ts";
import { readStatus } from "./status.ts";
import { type Trial, trySuccessor } from "./successor_trial.ts";

// What the packages ask before they give a host back to libvirt's daemon.

/** Asks whether the daemon that runs may hand over to libvirt's. */
export const REMOVABLE_COMMAND = "internal-removable";
/** Has it done so. */
export const HAND_BACK_COMMAND = "internal-hand-back";

/** How long a daemon that does not answer is waited for, in ms: it may be taking its locks back. */
const PATIENCE = 10_000;
const PAUSE = 500;
/** Most guests that a line names. */
const NAMED_GUESTS = 10;

/** What a removal works with. */
export interface RemovalParts {
  readonly sys: Sys;
  /** Admin socket of the daemon. */
  readonly socket: string;
  /** Told what the administrator has to know, line by line. */
  readonly say: (line: string) => void;
  /** Tries libvirt's daemon; see trySuccessor(). */
  readonly trial?: typeof trySuccessor;
}

/** A daemon of ours that answers, one of libvirt's, or why there is no answer. */
type Answer =
  | {
    readonly kind: "ours";
    readonly status: StatusDocument;
    readonly locks: readonly LockEntry[];
    readonly clients: readonly ClientEntry[];
  }
  | { readonly kind: "libvirt" }
  | { readonly kind: "none"; readonly reason: string };

/**
 * Whether no lock is lost when the daemon that runs hands over to libvirt's: it answers, and has none, or
 * libvirt's daemon starts with the configuration as it is now.
 *
 * @param program libvirt's daemon
 */
export function isRemovable(
  { sys, socket, say, trial = trySuccessor }: RemovalParts,
  program: string,
): boolean {
  const answer = askPatiently(sys, socket);
  switch (answer.kind) {
    case "libvirt":
      return true;
    case "none":
      say(`Not removed: ${answer.reason}. Only a daemon that answers can hand its locks over.`);
      say(
        "'virtlockd doctor' says what to do; then remove the package again. When no guest runs on this host any more,",
      );
      say("and only then: systemctl stop virtlockd.socket virtlockd.service, and remove the package again.");
      return false;
    case "ours": {
      const { locks, clients, status } = answer;
      const { cluster } = status.sections;
      if (cluster !== undefined) {
        say(
          `Not removed: this host is in cluster ${cluster.name}, of which libvirt's virtlockd knows nothing: it would`,
        );
        say(
          "lock disks that other hosts use. First shut down its guests with locks of the cluster, or move them. Then:",
        );
        const host = cluster.host === "" ? "HOST" : shellQuoted(cluster.host);
        say(
          `virtlockd cluster leave ${host}; take the cluster_ keys out of virtlockd.conf; virtlockd reload.`,
        );
        say(
          "If deno-virtlockd-cluster has just been removed with it, install that again before anything else.",
        );
        return false;
      }
      if (locks.length === 0) return true;
      const fault = faultOf(sys, program, status, trial);
      if (fault !== undefined) {
        say(
          `Not removed: libvirt's virtlockd would not start and lose ${counted(locks.length, "lock")}${
            guestsOf(locks)
          }: ${fault}`,
        );
        say(
          "Mend that and remove the package again. It can also be removed when these guests have been shut down, or moved",
        );
        say("to another host.");
        return false;
      }
      for (const { holder, paths } of aloneHolders(locks, clients)) {
        say(
          `Mind ${
            holderText(holder)
          }, which has no connection of its own: libvirt's virtlockd does not notice its end`,
        );
        say(
          `and keeps ${
            paths.join(", ")
          } locked. Suspend it with virsh before it is destroyed, which frees them.`,
        );
      }
      return true;
    }
  }
}

/**
 * Has the daemon hand over to the program in its place, which is libvirt's by now.
 *
 * @param pid the daemon's process
 * @returns whether it has, or had nothing to lose
 */
export function handBack({ sys, socket, say }: RemovalParts, pid: number): boolean {
  const answer = askOnce(sys, socket);
  const mayLose = answer.kind !== "ours" || answer.locks.length > 0;
  try {
    new Reload(sys, socket, pid, "libvirt").run();
    return true;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    say(mayLose ? `Not removed: ${error.message}` : `It held no lock: ${error.message}`);
    return !mayLose;
  }
}

function askPatiently(sys: Sys, socket: string): Answer {
  const end = sys.monotonic() + PATIENCE;
  for (;;) {
    const answer = askOnce(sys, socket);
    if (answer.kind !== "none" || sys.monotonic() >= end) return answer;
    sys.pollReadable(-1, PAUSE);
  }
}

function askOnce(sys: Sys, socket: string): Answer {
  try {
    using daemon = AdminConnection.connect(sys, socket);
    const status = readStatus(daemon);
    const clients = daemon.list(StatusProcedure.LIST_CLIENTS, CLIENT);
    return { kind: "ours", status, locks: listLocks(daemon), clients };
  } catch (error) {
    if (error instanceof ForeignDaemonError) return { kind: "libvirt" };
    if (error instanceof UnreachableError) return { kind: "none", reason: error.message };
    throw error;
  }
}

/** Why libvirt's daemon would not start. Ours reads the same file and says more precisely what is wrong. */
function faultOf(
  sys: Sys,
  program: string,
  status: StatusDocument,
  trial: (sys: Sys, program: string, configuration: string | undefined, daemon: number) => Trial,
): string | undefined {
  if (sys.access(program, 1) < 0) return `${program} is not there, its package is not installed`;
  const tried = trial(sys, program, status.configurationFile, status.pid);
  switch (tried.kind) {
    case "starts":
      return undefined;
    case "untried":
      return faultInConfiguration(sys, {}, status);
    case "hangs":
      return tried.reason;
    case "fails": {
      const own = faultInConfiguration(sys, {}, status);
      return own === undefined ? tried.reason : `${own} (it says: ${tried.reason})`;
    }
  }
}

/** ` of the guests 'a', 'b'`. */
function guestsOf(locks: readonly LockEntry[]): string {
  const holders = locks.flatMap((lock) => lock.holders);
  const names = [...new Set(holders.map(({ domain, pid }) => domain === "" ? `process ${pid}` : domain))];
  if (names.length === 0) return "";
  return plainText(` of the ${names.length === 1 ? "guest" : "guests"} ${someOf(names, NAMED_GUESTS)}`);
}
