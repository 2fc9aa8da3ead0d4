import assert from "node:assert/strict";
import { askVersion } from "../../../../src/etcd/link/member_version.ts";
import { PATIENCE_MS } from "../../../support/until.ts";

/** A member that answers so over HTTP. */
function member(answer: (path: string) => Response | Promise<Response>) {
  const server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen: () => {} },
    (request) => answer(new URL(request.url).pathname),
  );
  return { url: `http://127.0.0.1:${server.addr.port}`, [Symbol.asyncDispose]: () => server.shutdown() };
}

Deno.test("a member is asked for its version by HTTP", async () => {
  await using etcd = member((path) =>
    path === "/version"
      ? Response.json({ etcdserver: "3.4.23", etcdcluster: "3.4.0" })
      : new Response("", { status: 404 })
  );
  assert.deepEqual(await askVersion(etcd.url, undefined, PATIENCE_MS), { url: etcd.url, version: "3.4.23" });
});

for (
  const [name, body, reason] of [
    ["no version", "{}", /^its answer tells no version$/],
    ["a version that is no text", '{"etcdserver":3}', /^its answer tells no version$/],
    ["no JSON", "<html>", /JSON/],
    ["far too much", " ".repeat(100_000), /^its answer is too long for a version$/],
  ] as const
) {
  Deno.test(`of a member that answers with ${name} it is said why its version is not known`, async () => {
    await using etcd = member(() => new Response(body));
    const version = await askVersion(etcd.url, undefined, PATIENCE_MS);
    assert.match("reason" in version ? version.reason : "", reason);
  });
}

Deno.test("of a member that is not there, or says nothing, it is said why its version is not known", async () => {
  const listener = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  const url = `http://127.0.0.1:${listener.addr.port}`;
  assert.deepEqual(await askVersion(url, undefined, 50), { url, reason: "no answer within 50 ms" });
  listener.close();
  // Nobody has it, and no other test gets it.
  const gone = await askVersion("http://127.0.0.1:1", undefined, PATIENCE_MS);
  assert.match("reason" in gone ? gone.reason : "", /ECONNREFUSED|refused/);
});
