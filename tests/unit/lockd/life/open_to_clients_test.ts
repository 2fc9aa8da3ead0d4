import assert from "node:assert/strict";
import { existsSync, statSync } from "node:fs";
import type { Built } from "../../../../src/lockd/life/built.ts";
import { openToClients, unlinkSockets } from "../../../../src/lockd/life/open_to_clients.ts";
import { LifeStage } from "./life_stage.ts";

/** Closes what listens. */
function close({ daemon }: Built): void {
  for (const server of daemon.servers) for (const { fd } of server.listeners) daemon.sys.close(fd);
}

Deno.test("openToClients() makes the sockets that nobody has made, for their owner alone", () => {
  using stage = new LifeStage();
  const built = stage.build();
  const { socket, adminSocket } = stage.found.beginning.context.paths;
  openToClients(stage.found, built.daemon);
  assert.deepEqual(built.daemon.servers.map(({ listeners }) => listeners.map(({ path }) => path)), [
    [socket],
    [adminSocket],
  ]);
  assert.deepEqual([socket, adminSocket].map((path) => statSync(path).mode & 0o777), [0o700, 0o700]);
  // Nobody is served before the loop knows of them.
  assert.deepEqual(
    built.daemon.servers.flatMap(({ listeners }) => listeners).filter(({ fd }) =>
      built.daemon.loop.descriptors.includes(fd)
    ),
    [],
  );
  unlinkSockets(built.daemon);
  assert.deepEqual([socket, adminSocket].map((path) => existsSync(path)), [false, false]);
  close(built);
});

Deno.test("openToClients() ends the start where a socket cannot be made and nothing is held", () => {
  using stage = new LifeStage();
  const built = stage.build();
  const { socket } = stage.found.beginning.context.paths;
  Deno.mkdirSync(socket);
  assert.throws(() => openToClients(stage.found, built.daemon), { name: "StartError" });
  close(built);
});

Deno.test("openToClients() goes on with locks that are held, and says what it goes on without", () => {
  using stage = new LifeStage();
  const built = stage.build();
  stage.lock(built);
  const { socket, adminSocket } = stage.found.beginning.context.paths;
  Deno.mkdirSync(socket);
  openToClients(stage.found, built.daemon);
  assert.deepEqual(built.daemon.servers.map(({ listeners }) => listeners.map(({ path }) => path)), [
    [],
    [adminSocket],
  ]);
  const told = stage.logged.filter((line) => line.startsWith("Started in spite of this: "));
  assert.equal(told.length, 1);
  assert.ok(told[0]?.includes(socket));
  close(built);
});
