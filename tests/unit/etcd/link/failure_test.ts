import assert from "node:assert/strict";
import { failureOf } from "../../../../src/etcd/link/failure.ts";

const CASES: readonly [what: string, code: number, details: string, answer: ReturnType<typeof failureOf>][] =
  [
    ["a user without the right", 7, "etcdserver: permission denied", {
      kind: "refused",
      reason:
        "etcdserver: permission denied (the common name of the certificate is no user of etcd, or that " +
        "user's roles do not allow it for a cluster of this name)",
    }],
    [
      "a full database, which may have been the last write that it took,",
      8,
      "etcdserver: mvcc: database space exceeded",
      {
        kind: "full",
        reason:
          "etcd is full: etcdserver: mvcc: database space exceeded (docs/cluster-etcd.md says how to make room)",
      },
    ],
    ["a member with too much to do", 8, "etcdserver: too many requests", {
      kind: "refused",
      reason: "etcdserver: too many requests",
    }],
    [
      "a transaction that is larger than etcd is set to take",
      3,
      "etcdserver: too many operations in txn request",
      {
        kind: "refused",
        reason:
          "etcdserver: too many operations in txn request (etcd is set to take fewer than 128 operations in one " +
          "transaction: take --max-txn-ops (ETCD_MAX_TXN_OPS) out of the settings of each member, and start them " +
          "anew one after the other)",
      },
    ],
    ["a transaction with a record that nobody but a stranger writes", 3, "etcdserver: request is too large", {
      kind: "refused",
      reason:
        "etcdserver: request is too large (one of the records that it is about is far larger than any daemon " +
        "writes: docs/cluster-etcd.md says how to find it)",
    }],
    ["an answer that grpc has lost", 12, "No message received", {
      kind: "unknown",
      reason: "No message received",
    }],
    ["the same code for a connection that pings too often", 8, "Bandwidth exhausted: excess pings", {
      kind: "unknown",
      reason: "Bandwidth exhausted: excess pings",
    }],
    ["no answer", 4, "Deadline exceeded after 4.001s,LB pick: 0.1s,remote_addr=127.0.0.1:2379", {
      kind: "unknown",
      reason: "etcd has not answered within 4 s",
    }],
    ["no connection", 14, "No connection established", {
      kind: "unknown",
      reason: "etcd cannot be reached: No connection established",
      unreached: true,
    }],
    [
      "a connection that TLS has ended",
      14,
      "No connection established. Last error: received fatal alert: BadCertificate (2026-11-29T08:06:31.025Z). " +
      "Resolution note: ",
      {
        kind: "unknown",
        reason: "etcd cannot be reached: received fatal alert: BadCertificate",
        unreached: true,
      },
    ],
    [
      "a member whose certificate has another name",
      14,
      "No connection established. Last error: Error [ERR_TLS_CERT_ALTNAME_INVALID]: Hostname/IP does not match. " +
      "Resolution note: ",
      {
        kind: "unknown",
        reason: "etcd cannot be reached: Hostname/IP does not match",
        unreached: true,
      },
    ],
    [
      "a member whose name has a note",
      14,
      "No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: stale",
      {
        kind: "unknown",
        reason: "etcd cannot be reached: connect ECONNREFUSED 127.0.0.1:1 (stale)",
        unreached: true,
      },
    ],
    ["a member that has timed out with the others", 14, "etcdserver: request timed out", {
      kind: "unknown",
      reason: "etcdserver: request timed out",
    }],
    ["a failure of the member", 13, "internal", { kind: "unknown", reason: "internal" }],
  ];

for (const [what, code, details, answer] of CASES) {
  Deno.test(`${what} is told as ${answer.kind}`, () =>
    assert.deepEqual(failureOf({ code, details }, 4000), answer));
}

Deno.test("what may be wrong on this side is said where no connection has come about, and not elsewhere", () => {
  const doubts = ["a.pem was valid until 2026", "b.pem is not the key of a.pem"];
  assert.deepEqual(failureOf({ code: 14, details: "write EPIPE" }, 4000, doubts), {
    kind: "unknown",
    reason: "etcd cannot be reached: write EPIPE; a.pem was valid until 2026; b.pem is not the key of a.pem",
    unreached: true,
  });
  for (
    const [code, details] of [[3, "etcdserver: key is not provided"], [14, "etcdserver: no leader"]] as const
  ) {
    assert.equal(failureOf({ code, details }, 4000, doubts).reason, details);
  }
});
