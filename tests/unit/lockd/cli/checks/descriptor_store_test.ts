import assert from "node:assert/strict";
import { descriptorStore } from "../../../../../src/lockd/cli/checks/descriptor_store.ts";
import { answering, found } from "./check_fixture.ts";

const SYSTEMD = { "/run/systemd/system/": "" };

Deno.test("descriptorStore has nothing to say without systemd or without a daemon", async () => {
  assert.deepEqual(await found(descriptorStore, {}, answering()), []);
  assert.deepEqual(await found(descriptorStore, SYSTEMD), []);
});

Deno.test("descriptorStore warns when a crash would lose the locks, or soon would", async () => {
  const lost = "warning: systemd keeps no copies of the daemon's descriptors: a crash would lose every lock";
  assert.deepEqual(await found(descriptorStore, SYSTEMD, answering()), [lost]);
  const store = (limit: number, stored: number, refused = 0) =>
    answering([], { sections: { storage: {}, store: { present: true, stored, limit, refused, queued: 0 } } });
  assert.deepEqual(
    await found(
      descriptorStore,
      SYSTEMD,
      answering([], { sections: { storage: {}, store: { present: false } } }),
    ),
    [
      lost,
    ],
  );
  assert.deepEqual(await found(descriptorStore, SYSTEMD, store(0, 0)), [lost]);
  assert.deepEqual(await found(descriptorStore, SYSTEMD, store(100, 90)), [
    "warning: systemd's descriptor store is nearly full, 90 of 100: further locks would not survive a crash",
  ]);
  assert.deepEqual(await found(descriptorStore, SYSTEMD, store(100, 50, 3)), [
    "warning: systemd's descriptor store is full, 50 of 100: 3 descriptors would not survive a crash",
  ]);
  assert.deepEqual(await found(descriptorStore, SYSTEMD, store(100, 89)), [
    "ok: systemd keeps copies of 89 descriptors, at most 100",
  ]);
});
