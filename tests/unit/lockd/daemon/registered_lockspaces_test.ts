import assert from "node:assert/strict";
import { RegisteredLockspaces } from "../../../../src/lockd/daemon/registered_lockspaces.ts";
import { Lockspace } from "../../../../src/lockd/lockspace/lockspace.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { kernel } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

const NFS = { source: "nas:/locks", type: "nfs4", point: "/locks", device: 50 };
const BOOT = Deno.readTextFileSync("/proc/sys/kernel/random/boot_id").trim();

function lockspace(path: string, parts: Partial<Lockspace> = {}): Lockspace {
  return Object.assign(new Lockspace(path), parts);
}

Deno.test("RegisteredLockspaces gives back what was registered, with its place", () => {
  using scratch = new Scratch();
  const before = openDescriptors();
  const file = scratch.file("list");
  const list = new RegisteredLockspaces(kernel, file);
  assert.equal(list.load(), undefined);
  list.save([
    lockspace(""),
    lockspace("/a\udc80", { place: NFS }),
    lockspace("/b"),
    lockspace("/adopted", { origin: "adopted", place: NFS }),
  ]);
  assert.deepEqual(new RegisteredLockspaces(kernel, file).load(), [
    { path: "/a\udc80", place: NFS },
    { path: "/b", place: undefined },
  ]);
  assert.equal((Deno.statSync(file).mode ?? 0) & 0o7777, 0o600);
  list.save([]);
  assert.deepEqual(list.load(), []);
  assert.deepEqual([...Deno.readDirSync(scratch.path)].map(({ name }) => name), ["list"]);
  assert.deepEqual(openedSince(before), []);
});

Deno.test("RegisteredLockspaces knows nothing of an earlier boot", () => {
  using scratch = new Scratch();
  const file = scratch.write(
    "list",
    JSON.stringify({ version: 1, boot: "another", lockspaces: [{ path: "/a" }] }),
  );
  assert.equal(new RegisteredLockspaces(kernel, file).load(), undefined);
});

const WRONG = [
  "",
  "{",
  "[]",
  JSON.stringify({ version: 2, boot: BOOT, lockspaces: [] }),
  JSON.stringify({ version: 1, lockspaces: [] }),
  JSON.stringify({ version: 1, boot: BOOT, lockspaces: [{ path: "" }] }),
  JSON.stringify({ version: 1, boot: BOOT, lockspaces: [{ path: "/a", place: { source: "x" } }] }),
];
for (const text of WRONG) {
  Deno.test(`RegisteredLockspaces does not take '${text}' for a list`, () => {
    using scratch = new Scratch();
    const file = scratch.write("list", text);
    assert.throws(() => new RegisteredLockspaces(kernel, file).load(), SyntaxError);
  });
}

for (const call of ["open", "write", "rename"] as const) {
  Deno.test(`RegisteredLockspaces keeps the list that it has when ${call} fails`, () => {
    using scratch = new Scratch();
    const file = scratch.file("list");
    const sys = { ...kernel };
    const list = new RegisteredLockspaces(sys, file);
    list.save([lockspace("/a")]);
    const before = openDescriptors();
    sys[call] = () => -28;
    assert.throws(
      () => list.save([lockspace("/b")]),
      (error: unknown) => error instanceof SystemError && error.errno === 28,
    );
    sys[call] = kernel[call] as () => number;
    assert.deepEqual(list.load(), [{ path: "/a", place: undefined }]);
    assert.deepEqual([...Deno.readDirSync(scratch.path)].map(({ name }) => name), ["list"]);
    assert.deepEqual(openedSince(before), []);
  });
}
