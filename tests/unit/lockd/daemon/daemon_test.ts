import assert from "node:assert/strict";
import { closeParts, daemonParts } from "../../../support/daemon_parts.ts";
import { kernel, lockOn } from "../../../support/kernel.ts";
import { openDescriptors, openedSince } from "../../../support/open_descriptors.ts";
import { Scratch } from "../../../support/scratch.ts";

/** A process that has never been. */
const OWNER = { pid: 5_000_001, name: "web", uuid: "6ba7b810-9dad-41d1-80b4-00c04fd430c8", id: 3 };

Deno.test("Daemon has its two servers in the order of the admin protocol, with the programs of each", () => {
  const before = openDescriptors();
  const daemon = daemonParts();
  assert.deepEqual(daemon.servers.map(({ name, ordinal }) => [name, ordinal]), [["virtlockd", 0], [
    "admin",
    1,
  ]]);
  assert.deepEqual([daemon.clientCount, daemon.table.resourceCount, daemon.crashSections()], [0, 0, {}]);
  closeParts(daemon);
  assert.deepEqual(openedSince(before), []);
});

Deno.test("Daemon tells the observers in their order: what changed is told with the lock held already", () => {
  using scratch = new Scratch();
  const path = scratch.write("disk");
  const told: string[] = [];
  const daemon = daemonParts(kernel, { changed: () => told.push(lockOn(path).mode) });
  const { table, reaper } = daemon;
  let refusal: unknown = "none yet";
  table.acquire("", path, { shared: false, autocreate: false }, OWNER, (answer) => refusal = answer);
  assert.equal(refusal, undefined);
  assert.deepEqual([told, table.resourceCount, daemon.sights.of(OWNER.pid)], [["exclusive"], 1, undefined]);
  table.release("", path, OWNER, (answer) => refusal = answer);
  assert.deepEqual([refusal, told, reaper.dying], [undefined, ["exclusive", "none"], []]);
  closeParts(daemon);
});

Deno.test("Daemon.shutdown() ends run() when nothing is in service, once", () => {
  const daemon = daemonParts();
  assert.equal(daemon.ending, false);
  daemon.loop.defer(() => {
    daemon.shutdown();
    daemon.shutdown();
  });
  daemon.run();
  assert.equal(daemon.ending, true);
  closeParts(daemon);
});
