import assert from "node:assert/strict";
import type { SessionRecord } from "../../../../../src/lockd/cluster/keys/session_record.ts";
import {
  distrustOf,
  isOfEarlierStart,
  type RebootFacts,
  rebootTrust,
} from "../../../../../src/lockd/cluster/reboot/reboot_trust.ts";

const MARK = { board: "b", whole: "w" };
const OLD: SessionRecord = { host: "h", name: "kvm7", boot: "boot1", nonce: "n", machine: MARK };
const OTHER: SessionRecord = {
  host: "i",
  name: "kvm8",
  boot: "boot7",
  nonce: "m",
  machine: { board: "c", whole: "x" },
};
const FACTS: RebootFacts = {
  trust: { kind: "trusted", mark: MARK },
  host: "h",
  boot: "boot2",
  sessions: [OLD, OTHER],
};

Deno.test("bare metal with a mark is trusted, a virtual machine by its administrator's word, a container never", () => {
  const metal = { kind: { kind: "metal" }, mark: MARK } as const;
  const virtual = { kind: { kind: "virtual", by: "QEMU" }, mark: MARK } as const;
  const container = { kind: { kind: "container", by: "/.dockerenv" }, mark: { missing: "" } } as const;
  const unknown = { kind: { kind: "metal" }, mark: { missing: "there is no uuid" } } as const;
  const trusted = { kind: "trusted", mark: MARK } as const;
  assert.deepEqual(rebootTrust("metal", metal), trusted);
  assert.deepEqual(rebootTrust("virtual", metal), trusted);
  assert.deepEqual(rebootTrust("virtual", virtual), trusted);
  const why = (...args: Parameters<typeof rebootTrust>) => {
    const trust = rebootTrust(...args);
    return trust.kind === "untrusted" ? trust.reason : "trusted";
  };
  assert.equal(
    why("metal", virtual),
    "this is a virtual machine (QEMU), which may go on elsewhere. cluster_trust_reboot = 2 says that it never does",
  );
  for (const machine of [metal, virtual, container, unknown]) {
    assert.equal(why("never", machine), "cluster_trust_reboot = 0");
  }
  for (const policy of ["metal", "virtual"] as const) {
    assert.equal(
      why(policy, container),
      "this is a container (/.dockerenv), and what a killed one has written may still be on its way",
    );
    assert.equal(why(policy, unknown), "nothing tells this machine from others: there is no uuid");
  }
});

Deno.test("an earlier start of the same host on the same machine is certain to be over", () => {
  assert.equal(distrustOf(OLD, FACTS), undefined);
  assert.equal(distrustOf({ ...OLD, quiet: true, lost: 2 }, FACTS), undefined);
});

Deno.test("nothing is certain of a session of this start, of another host, or whose start is not known", () => {
  const none = "it is none of an earlier start of this host";
  assert.equal(distrustOf({ ...OLD, boot: "boot2" }, FACTS), none);
  assert.equal(distrustOf({ ...OLD, host: "i" }, FACTS), none);
  assert.equal(distrustOf({ ...OLD, left: true }, FACTS), none);
  const unknown = "the id of the kernel's start is not known";
  assert.equal(distrustOf({ ...OLD, boot: "" }, FACTS), unknown);
  assert.equal(distrustOf(OLD, { ...FACTS, boot: "" }), unknown);
});

Deno.test("nothing is certain of a session on another machine, or on one that nothing tells of", () => {
  const { machine: _, ...old } = OLD;
  assert.match(distrustOf(old, FACTS) ?? "", /^it does not say on which machine it was/);
  for (const machine of [{ board: "c", whole: "w" }, { board: "b", whole: "x" }]) {
    assert.match(
      distrustOf({ ...OLD, machine }, FACTS) ?? "",
      /^it was on another machine, which may run still/,
    );
  }
});

Deno.test("a firmware's uuid that another host has too tells nothing, until that host is none any more", () => {
  const twin = { ...OTHER, machine: { board: "b", whole: "x" } };
  assert.equal(
    distrustOf(OLD, { ...FACTS, sessions: [OTHER, OLD, { ...twin, left: true }, twin] }),
    "host 'kvm8' (id i) has the same uuid in its firmware, which therefore tells nothing. If that host is no more, " +
      "take away what is known of it: virtlockd cluster remove i",
  );
  assert.equal(distrustOf(OLD, { ...FACTS, sessions: [OLD, { ...twin, left: true }] }), undefined);
  assert.equal(distrustOf(OLD, { ...FACTS, sessions: [OLD, { ...twin, removed: true }] }), undefined);
  assert.equal(
    distrustOf(OLD, { ...FACTS, sessions: [OLD, "/virtlockd/prod/session/s holds no record"] }),
    "the session of some host in etcd cannot be read: /virtlockd/prod/session/s holds no record",
  );
});

Deno.test("only what still counts is of an earlier start", () => {
  const own = { host: "h", boot: "boot2" };
  assert.equal(isOfEarlierStart(OLD, own), true);
  assert.equal(isOfEarlierStart({ ...OLD, removed: true }, own), false);
  assert.equal(isOfEarlierStart({ ...OLD, boot: "boot2" }, own), false);
});
