import type { LockEntry } from "../../status/status_document.ts";
import type { Host } from "../guests/host.ts";
import { type AnsweringDaemon, type Check, type Finding, lasting, problem } from "./check.ts";

/**
 * Whether each lock is on the file that its path names: whoever asks next is given a lock on what is there.
 */
export const lockFiles: Check = {
  name: "lock files",
  run: (patient) =>
    lasting(patient, (daemon) => daemon.locks.flatMap((lock) => inspect(patient.host, daemon, lock))),
};

function inspect(host: Host, { status }: AnsweringDaemon, lock: LockEntry): Finding[] {
  const { path, file, lockspace, holders } = lock;
  if (file === undefined) return [];
  // As the daemon sees it: /tmp, for one, may be another directory here.
  const root = `/proc/${status.pid}/root`;
  const there = host.identity(host.kind(root) === "directory" ? root + path : path);
  if (there === undefined || there === file) return [];
  const who = holders.map(({ domain }) => `'${domain}'`).join(", ");
  const what = there === "none" ? "is gone" : "was replaced by another one";
  return [
    problem(
      `The file ${path}, on which guest ${who} has its lock, ${what}: another guest would be given a lock there`,
      lockspace === ""
        ? "Start no other guest with this disk. What the guest writes goes to the old file, which is lost when it ends: copy it first (virsh blockcopy), then restart the guest"
        : "Start no other guest with this disk until this one has been restarted, which locks the file anew; delete no files in lock directories",
    ),
  ];
}
