import assert from "node:assert/strict";
import { unlockedGuests } from "../../../../../src/lockd/cli/checks/unlocked_guests.ts";
import type { LockEntry } from "../../../../../src/lockd/status/status_document.ts";
import { lock } from "../cli_fixture.ts";
import {
  answering,
  diskXml,
  findings,
  found,
  guestProcess,
  leaseXml,
  NO_DAEMON,
  type Tree,
} from "./check_fixture.ts";

/** A lock on a path that the process `pid` holds. */
function direct(id: number, pid: number, resource: string, lockspace = ""): LockEntry {
  const holder = { domain: "a", uuid: "", id: 1, pid, since: 0, times: 1 };
  return lock({ id, lockspace, resource, path: resource, holders: [holder] });
}

const DISKS = [diskXml("file='/img/1'"), diskXml("file='/img/2'")];
const GUEST = guestProcess(30, "a", DISKS);
const CONTENT = ["ok: The guests that run have their disks locked: 'a'"];

/** What the check says when the daemon has these locks. */
function said(tree: Tree, ...locks: LockEntry[]): Promise<string[]> {
  return found(unlockedGuests, tree, answering(locks));
}

Deno.test("unlockedGuests has nothing to say where no guest runs", async () => {
  assert.deepEqual(await said({}), []);
});

Deno.test("unlockedGuests is content when every disk is locked for its guest", async () => {
  assert.deepEqual(await said(GUEST, direct(1, 30, "/img/1"), direct(2, 30, "/img/2")), CONTENT);
});

Deno.test("unlockedGuests knows the names of lock files: hashes of the disks' paths", async () => {
  // printf /img/1 | sha256sum
  const hash = "09af1c204247bb20d084f78f60da9b1d2a0af79c2395c83f8d921988b8bd14ac";
  assert.deepEqual(await said(GUEST, direct(1, 30, hash, "/ls"), direct(2, 30, "/img/2")), CONTENT);
  assert.deepEqual(
    await said(GUEST, direct(1, 30, hash.replaceAll("a", "b"), "/ls"), direct(2, 30, "/img/2")),
    [
      "problem: Guest 'a' (process 30) may write /img/1 without a lock on it",
    ],
  );
});

Deno.test("unlockedGuests finds a guest without any lock, and says how it gets them", async () => {
  const daemon = answering([direct(1, 31, "/img/1"), direct(2, 31, "/img/2")]);
  assert.deepEqual(await findings(unlockedGuests, GUEST, daemon), [{
    level: "problem",
    found: "Guest 'a' (process 30) runs without any lock",
    advice:
      "With lock_manager set and libvirtd restarted since, these take them, as a restart of the guest does: " +
      "virsh suspend a; virsh resume a",
  }]);
});

Deno.test("unlockedGuests advises what a shell understands, whatever the guest's name", async () => {
  const [finding] = await findings(unlockedGuests, guestProcess(30, "Windows 10; x", DISKS), answering([]));
  assert.match(finding?.advice ?? "", /: virsh suspend 'Windows 10; x'; virsh resume 'Windows 10; x'$/);
});

Deno.test("unlockedGuests does not expect locks of a guest that does not run, nor of one without disks", async () => {
  const tree = { ...guestProcess(30, "a", DISKS, { state: "paused" }), ...guestProcess(31, "b", []) };
  assert.deepEqual(await said(tree), ["ok: The guests that run have their disks locked: 'a', 'b'"]);
});

Deno.test("unlockedGuests takes no notice of what libvirt is just doing", async () => {
  const locks = [direct(1, 30, "/img/1"), direct(2, 30, "/img/2")];
  const looks: string[] = [];
  const lookAgain = () => {
    looks.push("again");
    return answering(locks);
  };
  assert.deepEqual(await found(unlockedGuests, GUEST, answering(), { lookAgain }), [
    "ok: The guests that run have their disks locked: 'a'",
  ]);
  assert.deepEqual(looks, ["again"]);
  const gone = () => NO_DAEMON;
  assert.deepEqual(await found(unlockedGuests, GUEST, answering(), { lookAgain: gone }), [
    "problem: Guest 'a' (process 30) runs without any lock",
  ]);
});

Deno.test("unlockedGuests looks after leases", async () => {
  const tree = guestProcess(30, "a", [], {
    leases: leaseXml("/l", "one", "k") + leaseXml("/l", "two", "k"),
  });
  assert.deepEqual(await said(tree, direct(1, 30, "k", "/l/one"), direct(2, 30, "k", "/l/two")), CONTENT);
  assert.deepEqual(await said(tree, direct(1, 30, "k", "/l/one")), [
    "problem: Guest 'a' (process 30) has the lease /l/two/k without a lock on it",
  ]);
});

Deno.test("unlockedGuests does not expect locks of each disk where libvirt takes leases only", async () => {
  const tree = {
    ...guestProcess(30, "a", DISKS, { leases: leaseXml("/l", "one", "k") }),
    "/etc/libvirt/qemu-lockd.conf": "auto_disk_leases = 0\n",
  };
  assert.deepEqual(await said(tree, direct(1, 30, "k", "/l/one")), CONTENT);
});

Deno.test("unlockedGuests counts the locks of devices that are locked by their identity", async () => {
  const block = (path: string) => diskXml(`dev='${path}'`, "", "type='block'");
  const tree = {
    ...guestProcess(30, "a", [block("/dev/vg/a"), block("/dev/vg/b")]),
    "/etc/libvirt/qemu-lockd.conf": 'lvm_lockspace_dir = "/ls"\n',
  };
  assert.deepEqual(await said(tree, direct(1, 30, "uuid-1", "/ls"), direct(2, 30, "uuid-2", "/ls")), CONTENT);
  assert.deepEqual(await said(tree, direct(1, 30, "uuid-1", "/ls"), direct(2, 30, "/dev/vg/b")), CONTENT);
  assert.deepEqual(await said(tree, direct(1, 30, "uuid-1", "/ls"), direct(2, 31, "uuid-2", "/ls")), [
    "problem: Guest 'a' (process 30) may write /dev/vg/a without a lock on it",
    "problem: Guest 'a' (process 30) may write /dev/vg/b without a lock on it",
  ]);
});

Deno.test("unlockedGuests says when nobody can tell", async () => {
  assert.deepEqual(await found(unlockedGuests, GUEST), [
    "warning: Guests run, but no daemon tells which locks they have: 'a'",
  ]);
  assert.deepEqual(await said({ "/run/libvirt/qemu/b.xml": "<domstatus" }), [
    "warning: Which disks a guest uses is not known: /run/libvirt/qemu/b.xml is not understood: No XML at character 0",
  ]);
});
