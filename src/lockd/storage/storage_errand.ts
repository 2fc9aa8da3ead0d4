import { F_UNLCK, F_WRLCK } from "../../os/constants.ts";
import { EMFILE } from "../../os/errno.ts";
import type { Sys } from "../../os/sys.ts";
import { checkDirectory } from "../lockspace/directory_check.ts";
import type { DirectoryFailure, FileFailure } from "../lockspace/file_failure.ts";
import type { FileIdentity } from "../lockspace/file_identity.ts";
import { LOCK_LENGTH, LOCK_START } from "../lockspace/lock_file.ts";
import { createFile, makeDirectory, removeFile } from "../lockspace/lock_files.ts";
import type { ForeignHolder } from "../lockspace/refusal.ts";
import { findOwner } from "./file_owner.ts";
import type { FileOwner, StorageResult, StorageTask } from "./helper_protocol.ts";
import { findLocalHolder } from "./holder_scan.ts";
import { judgeGuards, judgeOpeners, syncFile } from "./last_writes.ts";
import { readRecord } from "./owner_record.ts";
import { runProgram } from "./program_run.ts";

/** A task that leaves nothing with the helper: when it is answered, it is over. */
export type StorageErrand = Exclude<StorageTask, { readonly op: "lock" | "unlock" }>;

/**
 * Does a task that leaves nothing with the helper.
 *
 * @param descriptors what came along; closed here
 * @param answer called once, perhaps before the last descriptor is closed: closing may hang as well
 */
export function runErrand(
  sys: Sys,
  errand: StorageErrand,
  descriptors: readonly number[],
  answer: (result: StorageResult) => void,
): void {
  const [fd] = descriptors;
  switch (errand.op) {
    case "create":
      return answer(done(createFile(sys, errand.path, errand.followLinks, (made) => void sys.close(made))));
    case "remove":
      return answer(done(removeFile(sys, errand.path)));
    case "make-directory":
      return answer(done(makeDirectory(sys, errand.path)));
    case "set-lock":
      return setLock(sys, errand.path, errand.type, fd, answer);
    case "probe":
      return answer(done(probe(sys, errand.path, fd)));
    case "check-directory":
      return answer(checked(checkDirectory(sys, errand.path)));
    case "find-holder":
      return answer({ kind: "holder", holder: findHolder(sys, errand.path, errand.identity, errand.shared) });
    case "judge-guards": {
      const verdict = judgeGuards(sys, errand.question, fd);
      for (const each of descriptors) sys.close(each);
      return answer({ kind: "judged", verdict });
    }
    case "judge-openers":
      return answer({ kind: "judged", verdict: judgeOpeners(sys, errand.identity) });
    case "find-owner":
      return answer(ownerResult(findOwner(sys, errand.path)));
    case "sync": {
      const { denied, verdict } = syncFile(sys, errand.path);
      return answer({ kind: denied ? "denied" : "judged", verdict });
    }
    case "run":
      return answer({ kind: "ran", program: runProgram(sys, errand.command, errand.limit) });
  }
}

function setLock(
  sys: Sys,
  path: string,
  type: number,
  fd: number | undefined,
  answer: (result: StorageResult) => void,
): void {
  const action = `${type === F_UNLCK ? "Unable to unlock" : "Unable to lock"} ${path}`;
  if (fd === undefined) return answer(done({ kind: "system", action, errno: EMFILE }));
  const result = sys.ofdLock(fd, type, LOCK_START, LOCK_LENGTH);
  answer(done(result < 0 ? { kind: "system", action, errno: -result } : undefined));
  sys.close(fd);
}

function probe(sys: Sys, path: string, fd: number | undefined): FileFailure | undefined {
  const action = `Unable to ask for locks on ${path}`;
  if (fd === undefined) return { kind: "system", action, errno: EMFILE };
  const asked = sys.ofdProbe(fd, F_WRLCK, LOCK_START, LOCK_LENGTH, { type: F_UNLCK, pid: 0 });
  // Closing a file of FUSE asks its server too.
  sys.close(fd);
  return asked < 0 ? { kind: "system", action, errno: -asked } : undefined;
}

function findHolder(sys: Sys, path: string, identity: FileIdentity, shared: boolean): ForeignHolder {
  const local = findLocalHolder(sys, path, identity);
  if (local.kind === "process") return local;
  if (!shared || local.kind === "unknown") return { kind: "unknown" };
  const text = readRecord(sys, path, identity);
  return text === undefined ? { kind: "other-host" } : { kind: "record", text };
}

function checked(failure: DirectoryFailure | undefined): StorageResult {
  return failure === undefined ? { kind: "checked" } : { kind: "checked", failure };
}

function done(failure: FileFailure | undefined): StorageResult {
  return failure === undefined ? { kind: "done" } : { kind: "done", failure };
}

function ownerResult(owner: FileOwner | undefined): StorageResult {
  return owner === undefined ? { kind: "owner" } : { kind: "owner", owner };
}
