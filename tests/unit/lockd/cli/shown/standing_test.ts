import assert from "node:assert/strict";
import { cluster } from "../../../../../src/lockd/cli/checks/cluster.ts";
import { statusText } from "../../../../../src/lockd/cli/status.ts";
import { COPIED, LEFT, SAID_TO_BE_OFF } from "../../../../../src/lockd/cluster/session/lost_reasons.ts";
import { answering, findings } from "../checks/check_fixture.ts";
import { STATUS } from "../cli_fixture.ts";

const MEMBER = {
  name: "prod",
  host: "h",
  session: "s",
  locks: 3,
  lost: 0,
  parked: 0,
  left: 0,
  releasing: 0,
  unknown: 0,
} as const;

/** Each state of a host's session, with a reason, and what `virtlockd doctor` finds and advises. */
const TOLD = [
  ["live", undefined, undefined, undefined],
  [
    "live",
    "the link cannot be started",
    "Cluster prod does not answer: the link cannot be started",
    "See to the link and to etcd: docs/cluster.md",
  ],
  [
    "closed",
    "the cluster is not open yet, it waits for b",
    "Nothing new is locked in cluster prod: the cluster is not open yet, it waits for b",
    "Guests that run go on. 'virtlockd cluster join' prints that command with the hosts that are known so far",
  ],
  [
    "joining",
    undefined,
    "This host is not a member of cluster prod yet: it has just begun to join",
    "Locks of the cluster's are refused until it is, and none is given back in etcd; guests that run go on, and may " +
    "be shut down. It tries again every second; what is changed in virtlockd.conf counts after 'virtlockd reload'",
  ],
  [
    "joining",
    "etcd cannot be reached",
    "This host is not a member of cluster prod yet: etcd cannot be reached",
    "Locks of the cluster's are refused until it is, and none is given back in etcd; guests that run go on, and may " +
    "be shut down. It tries again every second; what is changed in virtlockd.conf counts after 'virtlockd reload'",
  ],
  [
    "unsure",
    "etcd has not answered within 4 s",
    "This host is not certain what cluster prod has of it, and locks nothing new there until it is: " +
    "etcd has not answered within 4 s",
    "Guests that run go on, and may be shut down; their locks are given back in etcd later. It goes on by itself when " +
    "etcd answers and has room. If it stays so, see to the link and to etcd: docs/cluster.md",
  ],
  [
    "lost",
    LEFT,
    "This host is no member of cluster prod: it has left the cluster. Take the cluster_ keys out of virtlockd.conf, " +
    "then virtlockd reload; with the keys 'virtlockd cluster join' brings it back",
    "Nothing of the cluster's is locked here. To come back: 'virtlockd cluster join' on this host. To stay out: take " +
    "the cluster_ keys out of virtlockd.conf, then 'virtlockd reload'",
  ],
  [
    "lost",
    SAID_TO_BE_OFF,
    "This host is no member of cluster prod: etcd was recovered without this host, which was said to be off: other " +
    "hosts may use its disks. Shut down its guests that have locks of the cluster, and start it anew",
    "Nothing of the cluster's is locked here. When those guests are gone: 'virtlockd cluster join'",
  ],
  [
    "lost",
    COPIED,
    "This host is no member of cluster prod: somebody else writes this host's session: a copy of this host is running",
    "Nothing of the cluster's is locked here, nor by the next daemon. If this one is the copy, end it. Else end the " +
    "other one, with its guests, and only then: 'virtlockd cluster join --copy-ended'",
  ],
  [
    "lost",
    "session s belongs to host i ('kvm9')",
    "This host is no member of cluster prod: session s belongs to host i ('kvm9')",
    "Nothing of the cluster's is locked here until that is mended: docs/cluster.md. Then 'virtlockd reload'",
  ],
  [
    "broken",
    "/etc/machine-id has no id: set cluster_host_id",
    "Nothing of cluster prod is locked on this host as it is configured: /etc/machine-id has no id: set " +
    "cluster_host_id",
    "Guests that run go on. When that is mended, 'virtlockd cluster join': docs/cluster.md",
  ],
] as const;

Deno.test("status and doctor tell of each state of a host's session, and doctor says what to do", async () => {
  for (const [state, reason, found, advice] of TOLD) {
    const section = { ...MEMBER, state, ...reason === undefined ? {} : { reason } };
    const sections = { storage: {}, cluster: section };
    const status = statusText({ ...STATUS, sections });
    const why = reason === undefined ? "" : `, reason ${reason}`;
    assert.ok(status.includes(`name prod, host h, session s, locks 3, `), status);
    assert.ok(status.includes(`state ${state}${why}`), status);
    assert.deepEqual(
      await findings(cluster, {}, answering([], { sections })),
      found === undefined ? [] : [{ level: "problem", found, advice }],
    );
  }
});
