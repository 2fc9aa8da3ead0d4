import assert from "node:assert/strict";
import { lockFilter, locksCommand, locksText } from "../../../../src/lockd/cli/locks.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import type { LockEntry } from "../../../../src/lockd/status/status_document.ts";
import { context, daemonWith, given, lock, UUID } from "./cli_fixture.ts";

const LOCKS: LockEntry[] = [
  lock({ id: 3, lockspace: "", resource: "/img/b.qcow2", path: "/img/b.qcow2", holders: [] }),
  lock({ id: 2 }),
  lock({ id: 1, lockspace: "", resource: "/img/a.qcow2", path: "/img/a.qcow2" }),
];

async function chosen(...args: string[]): Promise<number[]> {
  return LOCKS.filter(await lockFilter(linuxSys(), given(locksCommand, ...args))).map(({ id }) => id);
}

Deno.test("locksText() gives each lock a row", () => {
  assert.equal(
    locksText([lock({ id: 1 }), lock({ id: 2, lockspace: "", resource: "/img/a", mode: "shared" })]),
    `LOCKSPACE  RESOURCE  MODE       DOMAIN  UUID                                  PID  SINCE                 STATE
/ls        r1        exclusive  guest1  ${UUID}  41   2026-11-21 13:09:38Z  held
-          /img/a    shared     guest2  ${UUID}  42   2026-11-21 13:09:38Z  held
`,
  );
});

Deno.test("locksText() says on a host of a cluster for which hosts each lock counts", () => {
  const lines = locksText([
    { ...lock({ id: 1, hosts: "cluster" }), disk: "/img/x" },
    lock({ id: 2, hosts: "local" }),
    lock({ id: 3, hosts: "pending", state: "doubtful", reason: "why" }),
  ]).trimEnd().split("\n");
  assert.match(lines[0] ?? "", /SINCE +HOSTS +STATE +DISK$/);
  assert.match(lines[1] ?? "", /Z +cluster +held +\/img\/x$/);
  assert.match(lines[2] ?? "", /Z +local +held +-$/);
  assert.match(lines[3] ?? "", /Z +pending +doubtful: why +-$/);
});

Deno.test("locksText() gives each holder of a shared lock a row, and counts those that are left out", () => {
  const holder = { domain: "", uuid: UUID, id: 1, pid: 7, since: 0, times: 1 };
  const [, first, second, third] = locksText([
    lock({ id: 1, mode: "shared", holders: [holder, { ...holder, pid: 8 }], moreHolders: 9 }),
  ]).split("\n");
  assert.match(first ?? "", /^\/ls {8}r1 {8}shared {2}- .* 7 .* - +held$/);
  assert.match(second ?? "", / 8 /);
  assert.match(third ?? "", /\(9 more\)/);
});

Deno.test("locksText() says how a lock is that is not simply held", () => {
  const state = (parts: Partial<LockEntry>) =>
    locksText([lock({ id: 1, ...parts })]).trimEnd().split("\n")[1]?.split("Z  ")[1];
  assert.equal(state({ state: "holder being killed" }), "holder being killed");
  assert.equal(state({ state: "doubtful", reason: "why" }), "doubtful: why");
  assert.equal(state({ kind: "posix" }), "held (inherited from libvirt's daemon, will not survive a crash)");
});

Deno.test("locksText() says when there is none, and when others are held than were asked for", () => {
  assert.equal(locksText([]), "No locks.\n");
  assert.equal(locksText([], 1), "The one lock is not what was asked for.\n");
  assert.equal(locksText([], 2), "None of the 2 locks is what was asked for.\n");
});

Deno.test("lockFilter() takes the guest's name or uuid, in any spelling", async () => {
  assert.deepEqual(await chosen(), [3, 2, 1]);
  assert.deepEqual(await chosen("--domain", "guest1"), [1]);
  assert.deepEqual(await chosen("--domain", UUID), [2, 1]);
  assert.deepEqual(await chosen("--domain", UUID.toUpperCase().replaceAll("-", "")), [2, 1]);
  assert.deepEqual(await chosen("--domain", "guest"), []);
});

Deno.test("lockFilter() takes a name or a path as the list shows it", async () => {
  const [holder = assert.fail()] = lock({ id: 9 }).holders;
  const odd = lock({ id: 9, path: "/img/a\tb", resource: "a\tb", holders: [{ ...holder, domain: "w\x1b" }] });
  const finds = async (...args: string[]) =>
    (await lockFilter(linuxSys(), given(locksCommand, ...args)))(odd);
  assert.equal(await finds("--domain", "w\x1b"), true);
  assert.equal(await finds("--domain", "w\\x1b"), true);
  assert.equal(await finds("--domain", "w"), false);
  assert.equal(await finds("--path", "/img/a\\tb"), true);
  assert.equal(await finds("--path", "a\\tb"), true);
  assert.equal(await finds("--path", "/img/a\\nb"), false);
});

Deno.test("lockFilter() takes a pattern of the path or of the resource's name", async () => {
  assert.deepEqual(await chosen("--path", "/img/*"), [3, 1]);
  assert.deepEqual(await chosen("--path", "*/r2"), [2]);
  assert.deepEqual(await chosen("--path", "r?"), [2]);
  assert.deepEqual(await chosen("--path", "img"), []);
  assert.deepEqual(await chosen("--path", "*a*", "--domain", "guest1"), [1]);
});

Deno.test("lockFilter() finds a disk whose lock is named after a hash of its path", async () => {
  // printf /img/1 | sha256sum
  const resource = "09af1c204247bb20d084f78f60da9b1d2a0af79c2395c83f8d921988b8bd14ac";
  const hashed = lock({ id: 7, resource, path: `/ls/${resource}` });
  const finds = async (pattern: string, disk?: string) => {
    const filter = await lockFilter(linuxSys(), given(locksCommand, "--path", pattern));
    return filter(disk === undefined ? hashed : { ...hashed, disk });
  };
  assert.equal(await finds("/img/1"), true);
  assert.equal(await finds("/img/2"), false);
  assert.equal(await finds("/img/*"), false);
  assert.equal(await finds("*/1", "/img/1"), true);
});

Deno.test("locksText() shows the disks where the names do not", () => {
  const [header, first, second] = locksText([lock({ id: 1 }), { ...lock({ id: 2 }), disk: "/img/2" }]).split(
    "\n",
  );
  assert.match(header ?? "", / STATE +DISK$/);
  assert.match(first ?? "", / held +-$/);
  assert.match(second ?? "", / held +\/img\/2$/);
});

Deno.test("locks prints the locks by lockspace and resource, with --json as JSON", async () => {
  const daemon = daemonWith({ locks: LOCKS });
  const told = context(daemon.sys);
  assert.equal(await locksCommand.run(told, given(locksCommand, "--json", "-c", "/x")), 0);
  const ids = JSON.parse(told.out.text).map(({ id }: LockEntry) => id);
  assert.deepEqual(ids, [1, 3, 2]);
  assert.deepEqual(daemon.connected, ["/x"]);
  assert.equal(daemon.open, 0);
  const shown = context(daemon.sys);
  assert.equal(await locksCommand.run(shown, given(locksCommand, "--domain", "guest2")), 0);
  assert.equal(shown.out.text, locksText([lock({ id: 2 })]));
  assert.equal(daemon.connected[1], "/run/libvirt/virtlockd-admin-sock");
});
