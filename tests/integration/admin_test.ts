import assert from "node:assert/strict";
import { RpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import { AdminClient } from "../support/admin_client.ts";
import { Daemon } from "../support/daemon.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";

const LOCK_PROGRAM = 0x0ea7beef;

/** Code, domain and message of a refusal. */
async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RpcFailure) return `${error.code}/${error.domain} ${error.message}`;
    throw error;
  }
  return "none";
}

/** Values of parameters by name. */
function values(params: readonly { field: string; value: unknown }[]): Record<string, unknown> {
  return Object.fromEntries(params.map(({ field, value }) => [field, value]));
}

Deno.test("the admin socket serves the admin program, and no other socket does", async () => {
  await using daemon = await Daemon.start();
  await using admin = await AdminClient.connect(daemon.adminSocket);
  await admin.connectOpen();
  assert.deepEqual(await admin.listServers(), { items: ["admin", "virtlockd"], count: 2 });
  assert.equal(await admin.libVersion(), 1_000_000);
  const foreign = await admin.call(LOCK_PROGRAM, 8, new Uint8Array(4));
  assert.equal(
    foreign.kind === "error" && foreign.failure.message,
    "Cannot find program 245874415 version 1",
  );
  await using client = await AdminClient.connect(daemon.socket);
  assert.equal(await refusal(client.connectOpen()), "39/7 Cannot find program 110102160 version 1");
  await admin.connectClose();
  assert.equal(await admin.closed, undefined);
});

Deno.test("clients can be listed, described and disconnected", async () => {
  await using daemon = await Daemon.start();
  const seconds = () => BigInt(Math.floor(Date.now() / 1000));
  const before = seconds();
  await using first = await LockClient.connect(daemon.socket);
  await using second = await LockClient.connect(daemon.socket);
  await first.createLockspace("");
  await second.createLockspace("");
  const after = seconds();
  await using admin = await AdminClient.connect(daemon.adminSocket);
  const { items, count } = await admin.listClients("virtlockd");
  assert.equal(count, 2);
  assert.deepEqual(items.map(({ server, id, transport }) => [server, id, transport]), [
    ["virtlockd", 1n, 0],
    ["virtlockd", 2n, 0],
  ]);
  const [client] = items;
  if (client === undefined) throw new Error("no client");
  assert.equal(before <= client.timestamp && client.timestamp <= after, true);
  const info = values(await admin.clientInfo(client));
  assert.equal(info["unix_process_id"], Deno.pid);
  assert.equal(info["readonly"], false);
  await admin.clientClose(client);
  assert.equal(await first.closed, undefined);
  await daemon.log.match(
    /warning : .*An administrator closed client 1 \(pid \d+\).*: no guest is killed for it/,
  );
  await second.createLockspace("");
  assert.deepEqual((await admin.listClients("virtlockd")).items.map(({ id }) => id), [2n]);
  assert.equal(
    await refusal(admin.lookupClient("virtlockd", 1n)),
    "96/7 Client not found: No client with matching ID '1'",
  );
});

Deno.test("an admin client that disconnects itself gets no reply", async () => {
  await using daemon = await Daemon.start();
  await using admin = await AdminClient.connect(daemon.adminSocket);
  await using other = await AdminClient.connect(daemon.adminSocket);
  const itself = await admin.lookupClient("admin", 1n);
  await assert.rejects(admin.clientClose(itself), /ended before the reply/);
  assert.deepEqual((await other.listClients("admin")).items.map(({ id }) => id), [2n]);
});

Deno.test("a client limit takes effect at once: connections wait until there is room", async () => {
  await using daemon = await Daemon.start();
  await using admin = await AdminClient.connect(daemon.adminSocket);
  await using first = await LockClient.connect(daemon.socket);
  await first.createLockspace("");
  const limit = (value: number) =>
    ["nclients_unauth_max", "nclients_max"].map((field) => ({ field, type: 2, value }) as const);
  await admin.setClientLimits("virtlockd", limit(1));
  await using second = await LockClient.connect(daemon.socket);
  const waiting = second.createLockspace("");
  assert.deepEqual(values(await admin.clientLimits("virtlockd")), {
    nclients_max: 1,
    nclients: 1,
    nclients_unauth_max: 1,
    nclients_unauth: 0,
  });
  await admin.setClientLimits("virtlockd", limit(2));
  await waiting;
  assert.equal(values(await admin.clientLimits("virtlockd"))["nclients"], 2);
});

Deno.test("log outputs and filters can be changed, and mistakes change nothing", async () => {
  await using daemon = await Daemon.start();
  await using admin = await AdminClient.connect(daemon.adminSocket);
  assert.deepEqual(await admin.loggingOutputs(), { text: "1:stderr", count: 1 });
  assert.deepEqual(await admin.loggingFilters(), { text: undefined, count: 0 });
  const file = `${daemon.place.directory}/other.log`;
  await admin.setLoggingOutputs(`2:file:${file}`);
  await admin.setLoggingFilters("1:lock 4:*rpc*");
  assert.deepEqual(await admin.loggingFilters(), { text: "1:*lock* 4:**rpc** ", count: 2 });
  await using client = await LockClient.connect(daemon.socket);
  await client.register(testOwner(4242));
  assert.match(Deno.readTextFileSync(file), /registered domain 'guest-4242'/);
  assert.equal(
    await refusal(admin.setLoggingOutputs("1:file:/nonexistent-directory/x")),
    "38/0 failed to open /nonexistent-directory/x: No such file or directory",
  );
  assert.equal(
    await refusal(admin.setLoggingFilters("9:x")),
    "8/0 invalid argument: Invalid priority '9' for filter '9:x'",
  );
  assert.deepEqual(await admin.loggingOutputs(), { text: `2:file:${file}`, count: 1 });
  await admin.setLoggingOutputs(undefined);
  await admin.setLoggingFilters("");
  assert.deepEqual(await admin.loggingFilters(), { text: undefined, count: 0 });
});

Deno.test("requests for what is not there leave the daemon as it is", async () => {
  await using daemon = await Daemon.start();
  await using admin = await AdminClient.connect(daemon.adminSocket);
  const ghost = { server: "zz", id: 1n, timestamp: 0n, transport: 0 };
  for (
    const [call, answer] of [
      [() => admin.lookupServer("zz"), "95/7 Server not found: No server named 'zz'"],
      [() => admin.threadpool("zz"), "95/7 Server not found: No server named 'zz'"],
      [
        () => admin.setThreadpool("zz", []),
        "95/62 Server not found: no server with matching name 'zz' found",
      ],
      [
        () => admin.clientInfo(ghost),
        "95/62 Server not found: no server with matching name 'zz' found",
      ],
      [
        () => admin.clientInfo({ ...ghost, server: "admin", id: 9n }),
        "96/62 Client not found: no client with matching id '9' found",
      ],
      [() => admin.clientClose(ghost), "95/7 Server not found: No server named 'zz'"],
      [
        () => admin.updateTlsFiles("admin"),
        "1/7 internal error: no tls service found, unable to update tls files",
      ],
    ] as const
  ) assert.equal(await refusal(call()), answer);
  const unknown = await admin.call(0x06900690, 21);
  assert.equal(unknown.kind === "error" && unknown.failure.message, "unknown procedure: 21");
  const cut = await admin.call(0x06900690, 4, new Uint8Array(4));
  assert.equal(cut.kind === "error" && cut.failure.message, "Unable to decode message payload");
  assert.equal((await admin.listServers()).count, 2);
});

Deno.test("the daemon stops when the timeout that was set has passed without client and lock", async () => {
  await using daemon = await Daemon.start();
  {
    await using admin = await AdminClient.connect(daemon.adminSocket);
    await admin.setDaemonTimeout(1);
    assert.equal(daemon.running, true);
  }
  assert.deepEqual(await daemon.wait(), { code: 0, signal: null });
});

Deno.test("CONNECT_DAEMON_SHUTDOWN replies and stops the daemon", async () => {
  await using daemon = await Daemon.start();
  await using admin = await AdminClient.connect(daemon.adminSocket);
  await admin.shutdown();
  assert.deepEqual(await daemon.wait(), { code: 0, signal: null });
  assert.equal(await admin.closed, undefined);
});
