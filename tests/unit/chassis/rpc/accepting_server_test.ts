import assert from "node:assert/strict";
import { OWNER_ONLY } from "../../../../src/chassis/config/socket_role.ts";
import { type AcceptingParts, AcceptingServer } from "../../../../src/chassis/rpc/accepting_server.ts";
import type { Listener } from "../../../../src/chassis/rpc/listener.ts";
import { EPOLLIN } from "../../../../src/os/constants.ts";
import { EAGAIN } from "../../../../src/os/errno.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { kernel } from "../../../support/kernel.ts";
import { KeptLog } from "../../lockd/journal/kept_log.ts";

const LISTENER: Listener = { fd: 500, role: "admin", path: "/run/a", access: OWNER_ONLY, unlink: true };

/** A server whose clients are names. */
class Toy extends AcceptingServer<string> {
  constructor(parts: AcceptingParts) {
    super(parts);
  }

  protected override crowd() {
    return this.connections.size < this.limits.maxClients ? undefined : () => "everybody";
  }

  protected override rejection() {
    return undefined;
  }

  protected override admit(fd: number, _peer: unknown, { role }: Listener) {
    this.connections.set(this.connections.size + 1, `${role} ${fd}`);
  }
}

Deno.test("AcceptingServer admits clients up to its limit, and more when that is raised", () => {
  const waiting = [700, 701, 702];
  let accept: (events: number) => void = () => assert.fail("nobody listens");
  let pidfd = 900;
  const sys = {
    ...kernel,
    accept: () => waiting.shift() ?? -EAGAIN,
    peerCredentials: (_fd: number, into: object) => {
      Object.assign(into, { pid: 7, uid: 0, gid: 0 });
      return 0;
    },
    peerSecurity: () => "",
    peerPidfd: () => pidfd++,
  };
  const server = new Toy({
    name: "toys",
    sys,
    loop: {
      add: (_fd, _events, handler) => void (accept = handler),
      remove: () => {},
      after: () => ({ due: 0, cancel: () => {} }),
    },
    ledger: new DescriptorLedger(sys),
    log: new KeptLog(),
    now: () => 1_700_000_000_000,
    limits: { maxClients: 2, maxAnonymousClients: 2 },
  });
  server.listen(LISTENER);
  assert.deepEqual([server.name, server.listeners, server.clients.size], ["toys", [LISTENER], 0]);
  server.startAccepting();
  accept(EPOLLIN);
  accept(EPOLLIN);
  assert.deepEqual([...server.clients.values()], ["admin 700", "admin 701"]);
  server.setLimits({ maxClients: 3 });
  accept(EPOLLIN);
  assert.deepEqual([server.limits, [...server.clients.values()]], [
    { maxClients: 3, maxAnonymousClients: 2 },
    ["admin 700", "admin 701", "admin 702"],
  ]);
});
