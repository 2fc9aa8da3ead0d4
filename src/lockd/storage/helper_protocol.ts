import type { FileIdentity } from "../lockspace/file_identity.ts";
import type { LockOutcome, LockRequest, UnlockFailure, UnlockRequest } from "../lockspace/lock_file.ts";
import type { DirectoryFailure, FileFailure } from "../lockspace/file_failure.ts";
import type { ForeignHolder } from "../lockspace/refusal.ts";
import type { Verdict } from "../lockspace/settler.ts";
import type { GuardQuestion } from "./last_writes.ts";
import type { UserIds } from "./mount_tree.ts";
import type { ProgramResult } from "../../os/program_result.ts";
import { encodeText } from "../../os/text.ts";

// Between the daemon and its storage helpers: one JSON document per message of a SOCK_SEQPACKET socket pair,
// descriptors beside it (SCM_RIGHTS). Both ends are this program, but perhaps of two versions, when a package
// was upgraded.

/**
 * Changes with every message but `spawn`, which an older helper must understand from a newer daemon for ever.
 */
export const PROTOCOL_VERSION = "5";
/** The helper's end of the socket pair. */
export const HELPER_SOCKET = 3;
/** The command that runs a helper; its argument is {@link PROTOCOL_VERSION}. */
export const HELPER_COMMAND = "internal-storage";
/** The command that runs a helper which becomes another user; {@link ToHelper} `become` tells which. */
export const DEPUTY_COMMAND = "internal-deputy";
/** Most bytes of a message. A path has at most 4095 bytes, and six characters of JSON for each at worst. */
export const MESSAGE_LIMIT = 65536;

/** How to start a program. */
export interface HelperCommand {
  readonly path: string;
  readonly argv: readonly string[];
  /** `NAME=value` */
  readonly env: readonly string[];
}

/** A {@link LockRequest} on its way to a helper. */
export interface StorageLockRequest extends Omit<LockRequest, "record" | "within"> {
  /** Who asks, to be written into an autocreated file of a lockspace directory that is locked exclusively. */
  readonly record?: string;
}

/** Whose a file is, or the last directory on the way to it that can be seen. */
export interface FileOwner extends UserIds {
  /** Which of the two it is. */
  readonly path: string;
}

/** What a helper does for the daemon: one thing at a time. */
export type StorageTask =
  | { readonly op: "lock"; readonly request: StorageLockRequest }
  /** The locked descriptor comes along. */
  | { readonly op: "unlock"; readonly request: Omit<UnlockRequest, "fd"> }
  | { readonly op: "create"; readonly path: string; readonly followLinks: boolean }
  | { readonly op: "remove"; readonly path: string }
  | { readonly op: "make-directory"; readonly path: string }
  /**
   * Sets the lock of the description that comes along, without touching its file in any other way.
   *
   * `type`: F_RDLCK, F_WRLCK or F_UNLCK.
   */
  | { readonly op: "set-lock"; readonly path: string; readonly type: number }
  /** Asks the storage of the descriptor that comes along for its locks, only to see whether it answers. */
  | { readonly op: "probe"; readonly path: string }
  | { readonly op: "check-directory"; readonly path: string }
  | { readonly op: "find-owner"; readonly path: string }
  /** `shared`: other hosts may use this storage too. */
  | {
    readonly op: "find-holder";
    readonly path: string;
    readonly identity: FileIdentity;
    readonly shared: boolean;
  }
  /**
   * Whether the last writes of an owner that is gone have landed. A locked image's descriptor may come along.
   */
  | { readonly op: "judge-guards"; readonly question: GuardQuestion }
  | { readonly op: "judge-openers"; readonly identity: FileIdentity }
  | { readonly op: "sync"; readonly path: string }
  /** `limit`: milliseconds after which the program is killed. */
  | { readonly op: "run"; readonly command: HelperCommand; readonly limit: number };

/** From the daemon to a helper. */
export type ToHelper =
  /** The first message to a {@link DEPUTY_COMMAND}. `version`: {@link PROTOCOL_VERSION} of the daemon. */
  | { readonly kind: "become"; readonly version: string; readonly ids: UserIds }
  | { readonly kind: "task"; readonly id: number; readonly task: StorageTask }
  /**
   * The daemon has taken the lock that this task got, or closed its copy of the one it released: close yours.
   */
  | { readonly kind: "settled"; readonly id: number }
  /** Nobody waits for the lock any more that this task asks for: release it as soon as it is there. */
  | { readonly kind: "undo"; readonly id: number }
  /** Start a helper whose descriptor {@link HELPER_SOCKET} is the one that comes along. */
  | { readonly kind: "spawn"; readonly command: HelperCommand };

/** What became of a task. */
export type StorageResult =
  /** The locked descriptor comes along. `recordErrno`: the owner record could not be written. */
  | {
    readonly kind: "granted";
    readonly identity: FileIdentity;
    readonly recordErrno?: number;
  }
  | { readonly kind: "refused"; readonly outcome: Exclude<LockOutcome, { kind: "granted" }> }
  /** The lock came after nobody waited for it any more, and was released again. */
  | { readonly kind: "undone"; readonly path: string; readonly failure?: UnlockFailure }
  | { readonly kind: "released"; readonly failure?: UnlockFailure }
  | { readonly kind: "done"; readonly failure?: FileFailure }
  | { readonly kind: "checked"; readonly failure?: DirectoryFailure }
  | { readonly kind: "holder"; readonly holder: ForeignHolder }
  | { readonly kind: "judged"; readonly verdict: Verdict }
  /** The file may not be opened by whoever the helper is. */
  | { readonly kind: "denied"; readonly verdict: Verdict }
  | { readonly kind: "owner"; readonly owner?: FileOwner }
  | { readonly kind: "ran"; readonly program: ProgramResult };

/** From a helper to the daemon. */
export type FromHelper =
  | { readonly kind: "ready"; readonly pid: number }
  /** It cannot serve, and the end of the stream follows. */
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "result"; readonly id: number; readonly result: StorageResult };

/** The bytes of a message. */
export function encodeMessage(message: ToHelper | FromHelper): Uint8Array {
  // JSON escapes what is no Unicode in a path, so the text is plain.
  return encodeText(JSON.stringify(message));
}

/** What is said when daemon and helper are not of one version. @param version the daemon's */
export function otherVersion(version: string | undefined): string {
  return `The program on disk speaks version ${PROTOCOL_VERSION} of the helper protocol, ` +
    `this daemon ${version ?? "none"}: restart the daemon with SIGUSR1`;
}
