import assert from "node:assert/strict";
import { leases } from "../../../../../src/lockd/cli/checks/leases.ts";
import type { LockspaceEntry } from "../../../../../src/lockd/status/status_document.ts";
import {
  answering,
  domainXml,
  FakeHost,
  found,
  guestProcess,
  patientOf,
  type Tree,
} from "./check_fixture.ts";

const GUESTS = { "/etc/libvirt/qemu/a.xml": domainXml("a", [], 1), ...guestProcess(30, "a", []) };
const WHAT = "problem: Guest 'a' has the lease /leases/x/k0 and will not start: ";

function said(tree: Tree, ...lockspaces: LockspaceEntry[]): Promise<string[]> {
  return found(leases, { ...GUESTS, ...tree }, answering([], { lockspaces }));
}

Deno.test("leases finds directories and files that are not there", async () => {
  assert.deepEqual(await said({}), [`${WHAT}there is no directory /leases/x`]);
  assert.deepEqual(await said({ "/leases/x/": "" }), [`${WHAT}that file is not there`]);
  assert.deepEqual(await said({ "/leases/x/k0": "" }), []);
  assert.deepEqual(await found(leases, { ...GUESTS, "/leases/x/k0": "" }), []);
  assert.deepEqual(await found(leases, { "/etc/libvirt/qemu/a.xml": domainXml("a", []) }), []);
});

Deno.test("leases knows that the daemon makes files where its settings say so", async () => {
  const conf = { "/etc/libvirt/virtlockd.conf": 'lockspaces = [ "/leases/x" ]\n' };
  assert.deepEqual(await said({ ...conf, "/leases/x/": "" }), []);
  assert.deepEqual(await said(conf), [`${WHAT}there is no directory /leases/x`]);
  const mounted = {
    "/etc/libvirt/virtlockd.conf": 'lockspaces = [ "/leases/x=nas:/l" ]\n',
    "/leases/x/": "",
  };
  const root = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n";
  assert.deepEqual(await said({ ...mounted, "/proc/self/mountinfo": root }), [
    `${WHAT}nas:/l (as set) at /leases/x is not mounted`,
  ]);
  const nas = `${root}30 22 0:40 / /leases rw - nfs4 nas:/l rw\n`;
  assert.deepEqual(await said({ ...mounted, "/proc/self/mountinfo": nas }), []);
});

Deno.test("leases finds a directory that the daemon would not adopt", async () => {
  using fake = new FakeHost({ ...GUESTS, "/leases/x/k0": "" });
  Deno.chmodSync(`${fake.root}/leases`, 0o777);
  const examine = async (...lockspaces: LockspaceEntry[]) =>
    (await leases.run(patientOf(fake.host, answering([], { lockspaces })))).map(({ level, found }) =>
      `${level}: ${found}`
    );
  assert.deepEqual(await examine(), [
    `${WHAT}its directory cannot be used: others than its owner may write /leases (mode 0777)`,
  ]);
  // libvirt itself has named it.
  assert.deepEqual(await examine({ path: "/leases/x", origin: "registered" }), []);
});
