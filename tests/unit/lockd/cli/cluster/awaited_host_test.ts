import assert from "node:assert/strict";
import { heardOf, type HostWatch } from "../../../../../src/lockd/cli/cluster/awaited_host.ts";
import type { ClusterStatus } from "../../../../../src/lockd/cluster/cluster_status.ts";
import type { StatusDocument } from "../../../../../src/lockd/status/status_document.ts";
import { STATUS } from "../cli_fixture.ts";

/** A host that says these states of itself in turn; the last one stays. Session s1 has left, says etcd. */
function watched(states: readonly (readonly [ClusterStatus["state"], session: string])[]) {
  let clock = 0;
  let looks = 0;
  const asked: string[] = [];
  const look = (): StatusDocument => {
    const [state, session] = states[Math.min(looks++, states.length - 1)] ?? assert.fail();
    const counts = { locks: 0, lost: 0, parked: 0, left: 0, releasing: 0, unknown: 0 };
    return {
      ...STATUS,
      sections: { storage: {}, cluster: { name: "prod", host: "h1", session, state, ...counts } },
    };
  };
  const watch: HostWatch = {
    look,
    hasLeft: (_, session) => {
      asked.push(session);
      return session === "s1";
    },
    sys: {
      monotonic: () => clock,
      pollReadable: (_, timeout) => {
        clock += timeout;
        return 0;
      },
    },
  };
  const heard = (limitMs: number) => {
    const { state, session } = heardOf(watch, { limitMs, closed: false }, look()).sections.cluster ??
      assert.fail();
    return { state, session, waited: clock, asked };
  };
  return heard;
}

Deno.test("a host that was made to leave is waited for until it has heard, and over its doubt of itself", () => {
  assert.deepEqual(watched([["live", "s1"], ["live", "s1"], ["unsure", "s1"], ["lost", "s1"]])(5000), {
    state: "lost",
    session: "s1",
    waited: 900,
    asked: ["s1"],
  });
  assert.deepEqual(watched([["live", "s1"], ["unsure", "s1"], ["live", "s2"]])(5000), {
    state: "live",
    session: "s2",
    waited: 600,
    asked: ["s1", "s2"],
  });
});

Deno.test("a host that was made to leave and does not hear of it is waited for no longer than was said", () => {
  assert.deepEqual(watched([["live", "s1"]])(900), {
    state: "live",
    session: "s1",
    waited: 900,
    asked: ["s1"],
  });
  assert.deepEqual(watched([["live", "s1"], ["unsure", "s1"]])(900), {
    state: "unsure",
    session: "s1",
    waited: 900,
    asked: ["s1"],
  });
});
