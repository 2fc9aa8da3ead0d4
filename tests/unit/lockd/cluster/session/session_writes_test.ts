import assert from "node:assert/strict";
import { ClusterKeys } from "../../../../../src/lockd/cluster/keys/keys.ts";
import { agreement, bump, quieten } from "../../../../../src/lockd/cluster/session/session_writes.ts";

const KEYS = new ClusterKeys("prod");
const HOST = {
  id: "h7",
  name: "kvm7",
  boot: "b1",
  daemon: { place: "4026531836 0:25", pid: 77, start: 900 },
};

Deno.test("a session that is written anew is heard of, and compares what it and the cluster were", () => {
  const written = { session: "s1", host: HOST, mark: "n2", lost: 0, lease: "42" };
  assert.deepEqual(bump(KEYS, { session: 5, meta: 3, host: 4 }, written), {
    compare: [
      { kind: "changed-at", key: "/virtlockd/prod/session/s1", revision: 5 },
      { kind: "changed-at", key: "/virtlockd/prod/meta", revision: 3 },
      { kind: "changed-at", key: "/virtlockd/prod/host/h7", revision: 4 },
    ],
    success: [
      {
        op: "put",
        key: "/virtlockd/prod/session/s1",
        value: '{"host":"h7","name":"kvm7","boot":"b1","nonce":"n2"}',
      },
      {
        op: "put",
        key: "/virtlockd/prod/host/h7",
        value:
          '{"session":"s1","boot":"b1","name":"kvm7","daemon":{"place":"4026531836 0:25","pid":77,"start":900}}',
        lease: "42",
      },
      { op: "delete", key: "/virtlockd/prod/silent/s1" },
    ],
    failure: [],
  });
});

Deno.test("a session tells of how many locks its guests have that are others'", () => {
  const written = { session: "s1", host: HOST, mark: "n2", lost: 3, lease: "42" };
  const [session] = bump(KEYS, { session: 5, meta: 3, host: 4 }, written).success;
  assert.deepEqual(session, {
    op: "put",
    key: "/virtlockd/prod/session/s1",
    value: '{"host":"h7","name":"kvm7","boot":"b1","nonce":"n2","lost":3}',
  });
});

Deno.test("what all agree upon is written only where it is what it was", () => {
  const meta = { spaces: ["scsi"], phase: "forming", round: "r1", expect: [], without: [], why: "" } as const;
  assert.deepEqual(agreement(KEYS, 0, meta), {
    compare: [{ kind: "changed-at", key: "/virtlockd/prod/meta", revision: 0 }],
    success: [
      {
        op: "put",
        key: "/virtlockd/prod/meta",
        value:
          '{"schema":2,"spaces":["scsi"],"phase":"forming","round":"r1","expect":[],"without":[],"why":""}',
      },
    ],
    failure: [],
  });
});

Deno.test("a session that is stopped keeps what the program has to know that fences, and compares its epoch", () => {
  const epoch = { sessionKey: "/s", session: 7, metaKey: "/m", meta: 3 };
  const host = { ...HOST, data: () => "ipmi 7" };
  assert.deepEqual(quieten(epoch, { host, mark: "n2", lost: 1 }), {
    compare: [
      { kind: "changed-at", key: "/s", revision: 7 },
      { kind: "changed-at", key: "/m", revision: 3 },
    ],
    success: [{
      op: "put",
      key: "/s",
      value: '{"host":"h7","name":"kvm7","boot":"b1","nonce":"n2","lost":1,"data":"ipmi 7","quiet":true}',
    }],
    failure: [],
  });
});
