import assert from "node:assert/strict";
import { unlockedGuests } from "../../../../../src/lockd/cli/checks/unlocked_guests.ts";
import type { LockEntry } from "../../../../../src/lockd/status/status_document.ts";
import { lock } from "../cli_fixture.ts";
import { answering, blockdev, found, guestProcess } from "./check_fixture.ts";

/** A lock on a path that the process `pid` holds. */
function direct(id: number, pid: number, resource: string, lockspace = ""): LockEntry {
  const holder = { domain: "a", uuid: "", id: 1, pid, since: 0, times: 1 };
  return lock({ id, lockspace, resource, path: resource, holders: [holder] });
}

const GUEST = guestProcess(30, "a", [...blockdev("/img/1", false, 1), ...blockdev("/img/2", false, 2)]);

Deno.test("unlockedGuests has nothing to say where no guest runs", async () => {
  assert.deepEqual(await found(unlockedGuests, {}, answering()), []);
});

Deno.test("unlockedGuests is content when every disk is locked for its guest", async () => {
  const locks = [direct(1, 30, "/img/1"), direct(2, 30, "/img/2")];
  assert.deepEqual(await found(unlockedGuests, GUEST, answering(locks)), [
    "ok: All 1 guests that run have their disks locked",
  ]);
});

Deno.test("unlockedGuests knows the names of lock files: hashes of the disks' paths", async () => {
  const locks = [
    direct(1, 30, "5f9a99d5846b5b6e2c9bfeea31c1bc84f5ce1d3f80d2aa9d95a5fe3c4c4b7a55", "/ls"),
    direct(2, 30, "/img/2"),
  ];
  const hash = new Uint8Array(
    await crypto.subtle.digest("SHA-256", new TextEncoder().encode("/img/1")),
  ).toHex();
  const right = [{ ...locks[0] as LockEntry, resource: hash }, locks[1] as LockEntry];
  assert.deepEqual(await found(unlockedGuests, GUEST, answering(right)), [
    "ok: All 1 guests that run have their disks locked",
  ]);
  assert.deepEqual(await found(unlockedGuests, GUEST, answering(locks)), [
    "problem: Guest 'a' (process 30) may write /img/1 without a lock on it",
  ]);
});

Deno.test("unlockedGuests finds a guest without any lock", async () => {
  const locks = [direct(1, 31, "/img/1"), direct(2, 31, "/img/2")];
  assert.deepEqual(await found(unlockedGuests, GUEST, answering(locks)), [
    "problem: Guest 'a' (process 30) runs without any lock",
  ]);
});

Deno.test("unlockedGuests does not expect locks of a suspended guest, nor of one without disks", async () => {
  const tree = {
    ...GUEST,
    ...guestProcess(31, "b", []),
    "/run/libvirt/qemu/a.pid": "30",
    "/run/libvirt/qemu/b.pid": "31",
    "/run/libvirt/qemu/a.xml": "<domstatus state='paused'>",
  };
  assert.deepEqual(await found(unlockedGuests, tree, answering()), [
    "ok: All 2 guests that run have their disks locked",
  ]);
});

Deno.test("unlockedGuests does not expect locks of each disk where libvirt takes leases only", async () => {
  const tree = { ...GUEST, "/etc/libvirt/qemu-lockd.conf": "auto_disk_leases = 0\n" };
  assert.deepEqual(await found(unlockedGuests, tree, answering([direct(1, 30, "k", "/leases")])), [
    "ok: All 1 guests that run have their disks locked",
  ]);
});

Deno.test("unlockedGuests cannot tell a device that is locked by its identity", async () => {
  const tree = {
    ...guestProcess(30, "a", [...blockdev("/dev/vg/a")]),
    "/etc/libvirt/qemu-lockd.conf": 'lvm_lockspace_dir = "/ls"\n',
  };
  assert.deepEqual(await found(unlockedGuests, tree, answering([direct(1, 30, "Xyz-uuid", "/ls")])), [
    "ok: All 1 guests that run have their disks locked",
  ]);
});

Deno.test("unlockedGuests says when nobody can tell", async () => {
  assert.deepEqual(await found(unlockedGuests, GUEST), [
    "warning: 1 guests run, but no daemon tells which locks they have",
  ]);
});
