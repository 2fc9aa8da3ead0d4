import assert from "node:assert/strict";
import type { Answer } from "../../../../../src/etcd/wire/link_messages.ts";
import { EtcdVersions } from "../../../../../src/lockd/cluster/etcd/etcd_versions.ts";
import { PlayedTime } from "../../../../support/played_time.ts";

function played(answers: Answer[], unreachable?: string) {
  const time = new PlayedTime();
  const told: string[] = [];
  const versions = new EtcdVersions({
    etcd: {
      unreachable,
      ask: (question, _limit, done) => {
        assert.deepEqual(question, { kind: "versions" });
        done(answers.shift() ?? { kind: "unknown", reason: "gone" });
      },
    },
    loop: time,
    observer: {
      clusterUnsafe: (members) => told.push(members),
      clusterOfSeveral: (members) => told.push(`several: ${members}`),
    },
  });
  return { time, told, versions };
}

const one = (version: string): Answer => ({ kind: "versions", members: [{ url: "a", version }] });

Deno.test("versions with faults are told once, and again when they have changed", () => {
  const { time, told, versions } = played([one("3.4.23"), one("3.4.23"), one("3.5.16"), one("3.4.24")]);
  versions.ask();
  versions.begin();
  assert.equal(told.length, 1);
  assert.match(told[0] ?? "", /^a: version 3\.4\.23, UNSAFE: /);
  time.advance();
  assert.equal(told.length, 1);
  time.advance();
  assert.deepEqual(versions.members, [{ url: "a", version: "3.5.16" }]);
  time.advance();
  assert.equal(told.length, 2);
});

Deno.test("what was known of the versions stays when nobody answers", () => {
  const { time, versions } = played([one("3.5.16")]);
  assert.equal(versions.members, undefined);
  versions.ask();
  versions.begin();
  time.advance();
  assert.deepEqual(versions.members, [{ url: "a", version: "3.5.16" }]);
});

Deno.test("nobody is asked while there is no link", () => {
  const { versions } = played([one("3.5.16")], "no link");
  versions.ask();
  assert.equal(versions.members, undefined);
});

Deno.test("an endpoint of another etcd is told once, and again when it has come back", () => {
  const members = (cluster: string): Answer => ({
    kind: "versions",
    members: ["7", "7", cluster].map((each, at) => ({ url: `e${at}`, version: "3.5.16", cluster: each })),
  });
  const { time, told, versions } = played([members("8"), members("8"), members("7"), members("8")]);
  versions.ask();
  versions.begin();
  time.advance();
  assert.equal(told.length, 1);
  assert.match(told[0] ?? "", /^several: e2: its etcd has the cluster id 8, and that of e0, e1 has 7/);
  time.advance();
  time.advance();
  assert.equal(told.length, 2);
});
