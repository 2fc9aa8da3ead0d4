import assert from "node:assert/strict";
import { SOCK_STREAM } from "../../../../src/os/constants.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import {
  openPeerPidfd,
  readCredentials,
  readSecurity,
  SocketPeer,
} from "../../../../src/chassis/rpc/peer.ts";
import { kernel } from "../../../support/kernel.ts";

const CREDENTIALS = { pid: 10, uid: 20, gid: 30 };

/** A peer whose pidfd is 40, and the descriptors that were closed. */
function peer(pidfd = 40) {
  const closed: number[] = [];
  const ledger = new DescriptorLedger({ close: (fd) => closed.push(fd) });
  return { peer: new SocketPeer(ledger, 1, CREDENTIALS, "context", 99, pidfd), ledger, closed };
}

Deno.test("SocketPeer owns its pidfd until it is released", () => {
  const released = peer();
  assert.ok(released.ledger.has(40));
  released.peer.release();
  released.peer.release();
  assert.deepEqual(released.closed, [40]);
  assert.equal(released.peer.pidfd, -1);
  const none = peer(-1);
  none.peer.release();
  assert.deepEqual([none.closed, none.ledger.size, none.peer.pidfd], [[], 0, -1]);
});

Deno.test("openPeerPidfd() takes the kernel's own pidfd, else opens one by pid", () => {
  const sys = { ...kernel, peerPidfd: () => 50, pidfdOpen: () => assert.fail("not needed") };
  assert.equal(openPeerPidfd(sys, 5, 10), 50);
  const old = { ...kernel, peerPidfd: () => -92, pidfdOpen: (pid: number) => 1000 + pid };
  assert.equal(openPeerPidfd(old, 5, 10), 1010);
});

Deno.test("openPeerPidfd() gives none for a process that is gone or cannot be seen", () => {
  assert.equal(openPeerPidfd({ ...kernel, peerPidfd: () => -3, pidfdOpen: () => assert.fail() }, 5, 10), -1);
  // Before Linux 6.14. Another process may have its pid by now.
  assert.equal(openPeerPidfd({ ...kernel, peerPidfd: () => -22, pidfdOpen: () => assert.fail() }, 5, 10), -1);
  assert.equal(openPeerPidfd({ ...kernel, peerPidfd: () => -92, pidfdOpen: () => -3 }, 5, 10), -1);
  assert.equal(openPeerPidfd({ ...kernel, peerPidfd: () => -92, pidfdOpen: () => assert.fail() }, 5, 0), -1);
});

Deno.test("openPeerPidfd() throws without descriptors", () => {
  const sys = { ...kernel, peerPidfd: () => -24, pidfdOpen: () => -24 };
  assert.throws(
    () => openPeerPidfd(sys, 5, 10),
    /^SystemError: getsockopt SO_PEERPIDFD process 10: Too many/,
  );
  const old = { ...kernel, peerPidfd: () => -92, pidfdOpen: () => -24 };
  assert.throws(() => openPeerPidfd(old, 5, 10), /^SystemError: pidfd_open process 10: Too many open files/);
});

Deno.test("readCredentials() and readSecurity() ask the kernel", () => {
  const pair = kernel.socketPair(SOCK_STREAM);
  assert.ok(typeof pair !== "number");
  const credentials = readCredentials(kernel, pair[0]);
  assert.deepEqual(credentials, { pid: Deno.pid, uid: Deno.uid(), gid: Deno.gid() });
  assert.equal(typeof readSecurity(kernel, pair[0]), "string");
  const pidfd = openPeerPidfd(kernel, pair[0], Deno.pid);
  assert.equal(kernel.pollReadable(pidfd, 0), 0);
  for (const fd of [...pair, pidfd]) kernel.close(fd);
  assert.throws(() => readCredentials(kernel, pair[0]), SystemError);
});

Deno.test("readSecurity() is empty where there is no context", () => {
  assert.equal(readSecurity({ ...kernel, peerSecurity: () => -92 }, 5), "");
  assert.equal(readSecurity({ ...kernel, peerSecurity: () => "unconfined" }, 5), "");
  assert.equal(
    readSecurity({ ...kernel, peerSecurity: () => "system_u:system_r:svirt_t" }, 5),
    "system_u:system_r:svirt_t",
  );
});
