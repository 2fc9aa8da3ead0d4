import assert from "node:assert/strict";
import { LeavingSession } from "../../../../../src/lockd/cli/cluster/leaving_session.ts";
import { PlayedCluster } from "./played_cluster.ts";

function stage() {
  const cluster = new PlayedCluster();
  cluster.host("a");
  return { cluster, leaving: new LeavingSession(cluster, "s-a") };
}
const isLeft = (cluster: PlayedCluster) =>
  JSON.parse(cluster.etcd.get(cluster.keys.session("s-a")) ?? "{}").left === true;

Deno.test("a session without locks is ended, and its host is not heard of from then on", () => {
  const { cluster, leaving } = stage();
  assert.deepEqual(leaving.guests(), { running: [], overtaken: [] });
  leaving.end("none");
  assert.deepEqual([isLeft(cluster), cluster.etcd.get(cluster.keys.host("a"))], [true, undefined]);
});

Deno.test("an earlier start that is ended leaves the host heard of that runs now", () => {
  const { cluster, leaving } = stage();
  const place = cluster.keys.host("a");
  const shown = { session: "s-later", boot: "b2", name: "a" };
  cluster.put(place, shown);
  leaving.end("none");
  assert.deepEqual([isLeft(cluster), cluster.etcd.get(place)], [true, JSON.stringify(shown)]);
});

Deno.test("a session that gets a lock in that very moment is not ended", () => {
  const { cluster, leaving } = stage();
  cluster.before = (question) => {
    if (question.kind === "transaction" && question.transaction.compare.length > 0) {
      cluster.lock("s-a", "disk");
    }
  };
  assert.throws(() => leaving.end("none"), {
    message: /^The host has not left: a guest of it has got a lock/,
  });
  assert.equal(isLeft(cluster), false);
  assert.deepEqual(leaving.guests(), { running: ["web"], overtaken: [] });
});

Deno.test("locks that are given up go, but for those that another session has by now", () => {
  const { cluster, leaving } = stage();
  cluster.lock("s-a", "disk");
  cluster.lock("s-a", "shared", true);
  cluster.lock("s-a", "taken");
  const taken = cluster.keys.exclusive({ space: "scsi", name: "taken" });
  cluster.put(taken, { session: "s-b" });
  leaving.end("given-up");
  assert.deepEqual([isLeft(cluster), cluster.etcd.keys("/own/")], [true, []]);
  assert.deepEqual([...cluster.etcd.keys("/lock/"), ...cluster.etcd.keys("/share/")], [taken]);
});

Deno.test("the mark of a paused guest is told apart from locks, keeps its host from leaving, and goes with it", () => {
  const { cluster, leaving } = stage();
  const mark = cluster.keys.paused({ space: "scsi", name: "disk" }, "s-a", { uuid: "v", pid: 8, start: 2 });
  const holder = { session: "s-a", attempt: "", domain: "db", uuid: "v", pid: 8, start: 2, since: 1000 };
  cluster.put(mark, holder);
  cluster.put(cluster.keys.own("s-a", mark), holder);
  cluster.lock("s-a", "other");
  assert.deepEqual(leaving.guests(), { running: ["web"], overtaken: ["db"] });
  assert.throws(() => leaving.end("none"), { message: /^The host has not left/ });
  leaving.end("given-up");
  assert.deepEqual([isLeft(cluster), cluster.etcd.keys("/own/"), cluster.etcd.keys("/paused/")], [
    true,
    [],
    [],
  ]);
});
