import assert from "node:assert/strict";
import { limits } from "../../../../../src/lockd/cli/checks/limits.ts";
import { answering, diskXml, domainXml, found, type Tree } from "./check_fixture.ts";

/** So many guests of two disks and a lease. */
function guests(count: number): Tree {
  const xml = domainXml("a", [diskXml("file='/a'"), diskXml("file='/b'")], 1);
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`/etc/libvirt/qemu/${index}.xml`, xml]),
  );
}

const servers = (clientsMax: number) => [{ name: "virtlockd", clients: 0, clientsMax }];

Deno.test("limits has nothing to say where no guest is defined", async () => {
  assert.deepEqual(await found(limits, {}, answering()), []);
});

Deno.test("limits compares the guests with the daemon's limits", async () => {
  const enough = answering([], { servers: servers(30), descriptors: { open: 1, limit: 220 } });
  assert.deepEqual(await found(limits, guests(20), enough), [
    "ok: The limits are high enough for what is defined, 20 guests",
  ]);
  const tooFew = answering([], { servers: servers(29), descriptors: { open: 1, limit: 219 } });
  assert.deepEqual(await found(limits, guests(20), tooFew), [
    "problem: The daemon serves 29 clients at once, 20 guests may need 30: the others wait and do not start",
    "problem: The daemon may have 219 file descriptors, 20 guests may need 220",
  ]);
});

Deno.test("limits assumes the default where no daemon answers", async () => {
  assert.deepEqual(await found(limits, guests(1014)), [
    "ok: The limits are high enough for what is defined, 1014 guests",
  ]);
  assert.deepEqual(await found(limits, guests(1015)), [
    "problem: The daemon serves 1024 clients at once, 1015 guests may need 1025: the others wait and do not start",
  ]);
});
