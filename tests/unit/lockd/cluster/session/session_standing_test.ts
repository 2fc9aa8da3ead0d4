import assert from "node:assert/strict";
import { SessionStanding } from "../../../../../src/lockd/cluster/session/session_standing.ts";

const EPOCH = { sessionKey: "s", session: 2, metaKey: "m", meta: 1 };

function stage() {
  const told: string[] = [];
  const etcd: { unreachable: string | undefined } = { unreachable: undefined };
  const standing = new SessionStanding({
    etcd,
    observer: {
      clusterTroubled: (reason) => void told.push(`troubled: ${reason}`),
      clusterRecovered: () => void told.push("recovered"),
      clusterLost: (reason) => void told.push(`lost: ${reason}`),
    },
    changed: () => void told.push("changed"),
  });
  return { standing, told, etcd };
}

Deno.test("each trouble is told once, and that it is over when locks can be taken", () => {
  const { standing, told } = stage();
  standing.trouble("no answer");
  standing.trouble("no answer");
  assert.deepEqual(standing.state, { kind: "joining", reason: "no answer" });
  standing.live(EPOCH);
  assert.deepEqual(told, ["troubled: no answer", "recovered", "changed"]);
  told.length = 0;
  standing.live(EPOCH);
  assert.deepEqual(told, ["changed"]);
});

Deno.test("changes can be made while the membership stands, in a closed cluster too", () => {
  const { standing } = stage();
  assert.equal(standing.epoch, undefined);
  standing.live(EPOCH);
  assert.equal(standing.epoch, EPOCH);
  standing.unsure("cut");
  assert.equal(standing.epoch, undefined);
  standing.closed(EPOCH, { kind: "listed", reason: "others" });
  assert.deepEqual(standing.state, { kind: "closed", epoch: EPOCH, entered: "listed", reason: "others" });
  assert.equal(standing.epoch, EPOCH);
});

Deno.test("a membership is lost once, with the first reason", () => {
  const { standing, told } = stage();
  standing.lose("a copy");
  standing.lose("another");
  standing.trouble("no answer");
  assert.deepEqual(standing.state, { kind: "lost", reason: "a copy" });
  assert.deepEqual(told, ["lost: a copy", "changed", "troubled: no answer"]);
  assert.deepEqual(standing.readiness(0, 0), { kind: "never", reason: "a copy" });
});

Deno.test("whoever waits is told what for, and whether that is hopeless", () => {
  const { standing, etcd } = stage();
  const wait = (hopeless: boolean, reason: string) => ({ kind: "wait", hopeless, reason });
  assert.deepEqual(standing.readiness(0, 0), wait(false, "etcd has not answered"));
  standing.live(EPOCH);
  assert.deepEqual(standing.readiness(0, 0), { kind: "ready", epoch: EPOCH });
  etcd.unreachable = "no link";
  assert.deepEqual(standing.readiness(60_000, 0), wait(true, "no link"));
  assert.deepEqual(standing.readiness(60_000, 1), wait(false, "no link"));
  etcd.unreachable = undefined;
  standing.unsure("cut");
  assert.deepEqual(standing.readiness(0, 0), wait(false, "cut"));
  standing.closed(EPOCH, { kind: "settled", reason: "others" });
  assert.deepEqual(standing.readiness(0, 0), { kind: "closed", epoch: EPOCH, reason: "others" });
});
