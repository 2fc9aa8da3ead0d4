import assert from "node:assert/strict";
import type { EventHandler } from "../../../../src/chassis/event/event_loop.ts";
import { EPOLLPRI } from "../../../../src/os/constants.ts";
import { ENOENT, ENOMEM } from "../../../../src/os/errno.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { linuxSys } from "../../../../src/os/linux.ts";
import type { Sys } from "../../../../src/os/sys.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { MountTable } from "../../../../src/lockd/storage/mount_table.ts";
import { ListedMounts, sysWith, Turning } from "../../../support/storage_fixture.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";

const ROOT = "27 1 254:0 / / rw - ext4 /dev/vda rw\n";
const NFS = "40 27 0:40 / /net rw - nfs4 server:/export rw\n";

/** A loop that only remembers what is watched. */
class Watched {
  readonly handlers = new Map<number, { events: number; handler: EventHandler }>();

  add(fd: number, events: number, handler: EventHandler): void {
    this.handlers.set(fd, { events, handler });
  }

  remove(fd: number): void {
    this.handlers.delete(fd);
  }

  /** The kernel says that the watched file has changed. */
  change(): void {
    for (const { events, handler } of this.handlers.values()) handler(events);
  }
}

function tableOf(sys: Sys) {
  const loop = new Watched();
  const ledger = new DescriptorLedger(sys);
  const errors: SystemError[] = [];
  const table = new MountTable({ sys, loop, ledger, unreadable: (error) => errors.push(error) });
  return { loop, ledger, errors, table };
}

Deno.test("MountTable reads this process's mounts", () => {
  const { table } = tableOf(linuxSys());
  assert.equal(table.tree.root > 0, true);
  table.close();
});

Deno.test("MountTable watches the list for changes, and reads it again when it is next asked", () => {
  const mounts = new ListedMounts(ROOT);
  const { loop, table } = tableOf(mounts.sys);
  assert.deepEqual([...loop.handlers.values()].map(({ events }) => events), [EPOLLPRI]);
  assert.equal(table.tree.mayHang.length, 0);
  mounts.text = ROOT + NFS;
  assert.equal(table.tree.mayHang.length, 0);
  loop.change();
  assert.deepEqual(table.tree.mayHang.map(({ point }) => point), ["/net"]);
  assert.equal(table.tree, table.tree);
  table.close();
});

Deno.test("MountTable.refresh() has the list read again though nobody has told of a change", () => {
  const mounts = new ListedMounts(ROOT);
  const { table } = tableOf(mounts.sys);
  mounts.text = ROOT + NFS;
  assert.equal(table.tree.all.length, 1);
  table.refresh();
  assert.equal(table.tree.all.length, 2);
});

Deno.test("MountTable reads a list that is longer than one read", () => {
  const many = Array.from(
    { length: 3000 },
    (_, id) => `${100 + id} 27 0:${100 + id} / /m/${id} rw - tmpfs t rw\n`,
  );
  const { table } = tableOf(new ListedMounts(ROOT + many.join("") + NFS).sys);
  assert.equal(table.tree.at(27, "/m/2999")?.id, 3099);
  assert.equal(table.tree.at(27, "/net")?.id, 40);
  table.close();
});

Deno.test("MountTable keeps the list it has while it cannot read another, and tries again", () => {
  const mounts = new ListedMounts(ROOT);
  let failing = false;
  const sys: Sys = {
    ...mounts.sys,
    pread: (fd, into, position) => failing ? -ENOMEM : mounts.sys.pread(fd, into, position),
  };
  const { loop, table, errors } = tableOf(sys);
  mounts.text = ROOT + NFS;
  failing = true;
  loop.change();
  assert.equal(table.tree.mayHang.length, 0);
  assert.deepEqual(errors.map(({ message }) => message), [
    "read /proc/self/mountinfo: Cannot allocate memory (ENOMEM)",
  ]);
  failing = false;
  assert.equal(table.tree.mayHang.length, 1);
  table.close();
});

Deno.test("MountTable cannot be made without a list of mounts", () => {
  assert.throws(
    () => tableOf(sysWith({ open: () => -ENOENT })),
    new SystemError("open", "/proc/self/mountinfo", ENOENT),
  );
  assert.throws(
    () => tableOf(sysWith({ pread: () => -ENOMEM })),
    new SystemError("read", "/proc/self/mountinfo", ENOMEM),
  );
});

Deno.test("MountTable.close() stops watching and closes its descriptor", () => {
  using turning = new Turning();
  const { sys, loop, ledger } = turning;
  const before = openDescriptors();
  const table = new MountTable({ sys, loop, ledger, unreadable: () => {} });
  assert.equal(openedSince(before).length, 1);
  table.close();
  assert.deepEqual(openedSince(before), []);
  assert.equal(ledger.size, 0);
});

Deno.test("MountTable does not keep the event loop awake", () => {
  using turning = new Turning();
  const { sys, loop, ledger } = turning;
  const table = new MountTable({ sys, loop, ledger, unreadable: () => {} });
  assert.equal(loop.turn(0), 0);
  assert.equal(loop.turn(0), 0);
  table.close();
});
