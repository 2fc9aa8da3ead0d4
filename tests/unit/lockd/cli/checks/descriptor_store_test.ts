import assert from "node:assert/strict";
import { descriptorStore } from "../../../../../src/lockd/cli/checks/descriptor_store.ts";
import { answering, findings, found } from "./check_fixture.ts";

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
  assert.deepEqual(await found(descriptorStore, SYSTEMD, store(100, 98, 3)), [
    "warning: systemd's descriptor store is full, 98 of 100: 3 descriptors would not survive a crash",
  ]);
  assert.deepEqual(await found(descriptorStore, SYSTEMD, store(100, 50, 3)), [
    "warning: 3 descriptors could not be given to systemd and would not survive a crash, though it has room, 50 of 100",
  ]);
  assert.deepEqual(await found(descriptorStore, SYSTEMD, store(100, 89)), [
    "ok: systemd keeps copies of 89 descriptors, at most 100",
  ]);
});

/** A daemon with a store of so many descriptors, in systemd's service. */
function counting(stored: number, more: { kept?: boolean; reason?: string } = {}) {
  return answering([], {
    pid: 7,
    sections: { storage: {}, store: { present: true, stored, limit: 100, refused: 0, queued: 0, ...more } },
  });
}

Deno.test("descriptorStore says that systemd has dropped everything, and why", async () => {
  const reason = "FileDescriptorStoreMax= of the service is 0";
  assert.deepEqual(await found(descriptorStore, SYSTEMD, counting(0, { kept: false, reason })), [
    "problem: systemd keeps no copies of the daemon's descriptors any more (FileDescriptorStoreMax= of the service is 0): " +
    "a crash or a restart would free every lock until the next daemon",
  ]);
  const [finding] = await findings(descriptorStore, SYSTEMD, counting(0, { kept: false, reason }));
  assert.match(finding?.advice ?? "", /Do not restart or stop the daemon\. .* systemctl reload virtlockd/);
});

Deno.test("descriptorStore compares what the daemon counts with what systemd has, twice", async () => {
  const tree = { ...SYSTEMD, "/proc/7/cgroup": "0::/system.slice/virtlockd.service\n" };
  const shows = (...kept: number[]) => {
    const asked: string[] = [];
    const serviceStore = (unit: string) => {
      asked.push(unit);
      return Promise.resolve({ limit: 100, kept: kept.shift() ?? 0 });
    };
    return { asked, serviceStore };
  };
  // One of the 12 is the connection that asks.
  const fine = "ok: systemd keeps copies of 12 descriptors, at most 100";
  assert.deepEqual(await found(descriptorStore, tree, counting(12), shows(11)), [fine]);
  assert.deepEqual(await found(descriptorStore, tree, counting(12), shows(10, 11)), [fine]);
  const lost = shows(10, 10);
  assert.deepEqual(await found(descriptorStore, tree, counting(12), lost), [
    "problem: The daemon counts 11 descriptors in systemd's store, and systemd has 10: a crash or a restart would free " +
    "the locks of the others",
  ]);
  assert.deepEqual(lost.asked, ["virtlockd.service", "virtlockd.service"]);
  // One that is no service cannot be asked for.
  assert.deepEqual(await found(descriptorStore, SYSTEMD, counting(12), shows(0, 0)), [fine]);
});
