import assert from "node:assert/strict";
import { warnOfAloneOwners } from "../../../../src/lockd/handover/alone_owners.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { KeptLog } from "../journal/kept_log.ts";
import { holding, resource, UUID } from "../programs/lock_fixture.ts";

Deno.test("warnOfAloneOwners() names each owner without a connection of its own once, with what it holds", () => {
  const log = new KeptLog();
  const resources = [
    resource({ id: 1, holdings: [holding(42, "web")] }),
    resource({ id: 2, holdings: [holding(42, "web"), holding(43, "db")] }),
  ];
  const peer = { pid: 43, uid: 0, gid: 0, clientId: 1, connectedAt: 0, pidfd: -1, security: "" };
  warnOfAloneOwners({
    log,
    table: { resources: () => resources.values() as Generator<Resource> },
    watch: { connections: (key) => key === 43 ? [peer] : [] },
  });
  assert.deepEqual(log.lines, [
    `warning: libvirt's daemon keeps 'r1', 'r2' locked after the end of domain 'web' (uuid ${UUID}, pid 42), which has ` +
    "no connection of its own: suspend that guest with virsh before it is destroyed, which frees them",
  ]);
});
