import assert from "node:assert/strict";
import { lockFiles } from "../../../../../src/lockd/cli/checks/lock_files.ts";
import { identityOf, procLockText } from "../../../../../src/lockd/lockspace/file_identity.ts";
import { emptyStatus } from "../../../../../src/os/sys.ts";
import { linuxSys } from "../../../../../src/os/linux.ts";
import type { LockEntry } from "../../../../../src/lockd/status/status_document.ts";
import { lock } from "../cli_fixture.ts";
import { answering, FakeHost, patientOf } from "./check_fixture.ts";

/** Which file is at a path, as the daemon tells it. */
function fileAt(path: string): string {
  const status = emptyStatus();
  assert.equal(linuxSys().stat(path, status), 0);
  return procLockText(identityOf(status));
}

Deno.test("lockFiles finds locks on files that are gone or were replaced", async () => {
  using fake = new FakeHost({ "/ls/r1": "", "/ls/r2": "", "/img/a": "", "/img/b": "" });
  const direct = { lockspace: "", resource: "/img/b", path: "/img/b" };
  const locks = [
    lock({ id: 1, file: fileAt(`${fake.root}/ls/r1`) }),
    lock({ id: 2, file: "08:01:1" }),
    lock({ id: 3, file: "08:01:1" }),
    lock({ id: 4 }),
    lock({ id: 5, ...direct, file: fileAt(`${fake.root}/img/a`) }),
  ];
  const examine = (again = answering(locks)) =>
    lockFiles.run(patientOf(fake.host, answering(locks), { lookAgain: () => again }));
  const findings = await examine();
  assert.deepEqual(findings.map(({ level, found }) => `${level}: ${found}`), [
    "problem: The file /ls/r2, on which guest 'guest2' has its lock, was replaced by another one: " +
    "another guest would be given a lock there",
    "problem: The file /ls/r3, on which guest 'guest3' has its lock, is gone: another guest would be given a lock there",
    "problem: The file /img/b, on which guest 'guest5' has its lock, was replaced by another one: " +
    "another guest would be given a lock there",
  ]);
  assert.match(findings[1]?.advice ?? "", /delete no files in lock directories$/);
  assert.match(findings[2]?.advice ?? "", /virsh blockcopy/);
  // Released meanwhile, together with its file.
  assert.deepEqual((await examine(answering([locks[0] ?? lock({ id: 1 })]))).length, 0);
  assert.equal((await examine(answering([]))).length, 0);
});

Deno.test("lockFiles looks through the daemon's own root directory", async () => {
  using fake = new FakeHost({ "/proc/77/root/tmp/a": "", "/tmp/b": "" });
  const at = (path: string, file: string) => lock({ id: 1, lockspace: "", path, file });
  const examine = (...locks: LockEntry[]) => lockFiles.run(patientOf(fake.host, answering(locks)));
  const seen = fileAt(`${fake.root}/proc/77/root/tmp/a`);
  assert.deepEqual(await examine(at("/tmp/a", seen)), []);
  assert.equal((await examine(at("/tmp/b", fileAt(`${fake.root}/tmp/b`)))).length, 1);
  assert.deepEqual(await lockFiles.run(patientOf(fake.host)), []);
});
