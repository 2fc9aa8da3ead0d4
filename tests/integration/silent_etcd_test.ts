import assert from "node:assert/strict";
import { EtcdChannel, type MemberQuestion, plainCredentials } from "../../src/etcd/link/etcd_channel.ts";
import type { Answer } from "../../src/etcd/wire/link_messages.ts";

Deno.test("the link says in its own time that a member is silent, however short that is: it is not taken for one that hangs", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.TcpConn[] = [];
  const accepting = (async () => {
    for await (const connection of listener) connections.push(connection);
  })();
  const channel = new EtcdChannel(
    `127.0.0.1:${listener.addr.port}`,
    plainCredentials(),
    () => assert.fail("the member can be reached"),
  );
  const answers = async (question: MemberQuestion) => {
    const told: Answer[] = [];
    for (const limit of [0, 1, 100]) {
      told.push(await new Promise((done) => channel.ask(question, limit, done)));
    }
    return told;
  };
  const get = { op: "get", key: "/meta" } as const;
  assert.deepEqual(
    await answers({ kind: "transaction", transaction: { compare: [], success: [get], failure: [] } }),
    ["0", "0.001", "0.1"].map((limit) => ({
      kind: "unknown",
      reason: `etcd has not answered within ${limit} s`,
    })),
  );
  // Whoever waits for a change looks then.
  const changed = { kind: "changed" };
  assert.deepEqual(await answers({ kind: "await-change", prefix: "/want", from: 1 }), [
    changed,
    changed,
    changed,
  ]);
  channel.close();
  listener.close();
  await accepting;
  for (const connection of connections) connection.close();
});
