import assert from "node:assert/strict";
import { checkDescriptors } from "../../../../src/lockd/handover/check_descriptors.ts";
import { descriptorsOf, type RestartState } from "../../../../src/lockd/restart/state.ts";
import { fullState } from "../restart/documents.ts";

/** A kernel in which all descriptors are open but `closed`; the listening ones are these. */
function sys(state: RestartState, closed = -1, listening?: number[]) {
  const { virtlockd, admin } = state.servers;
  const listeners = [...virtlockd.listeners, ...admin?.listeners ?? []].map(({ fd }) => fd);
  return {
    fcntl: (fd: number) => fd === closed ? -9 : 0,
    socketOption: (fd: number) => (listening ?? listeners).includes(fd) ? 1 : 0,
  };
}

Deno.test("checkDescriptors() accepts a state whose descriptors are what they have to be", () => {
  const state = fullState();
  checkDescriptors(sys(state), state);
});

Deno.test("checkDescriptors() has every descriptor of a state closed when another program is executed", () => {
  const state = fullState();
  const closed: number[] = [];
  const fcntl = (fd: number, command: number, value: number) => {
    assert.deepEqual([command, value], [2, 1]);
    closed.push(fd);
    return 0;
  };
  checkDescriptors({ ...sys(state), fcntl }, state);
  assert.deepEqual(closed.toSorted((a, b) => a - b), descriptorsOf(state).toSorted((a, b) => a - b));
});

Deno.test("checkDescriptors() names the field of every descriptor that is not open", () => {
  const state = fullState();
  const fields = descriptorsOf(state).map((fd) => {
    let message = "";
    assert.throws(() => checkDescriptors(sys(state, fd), state), (error) => {
      message = error instanceof Error ? error.message : "";
      return true;
    });
    assert.ok(message.endsWith(`: expected an open descriptor, got ${fd}: Bad file descriptor`), message);
    return message.slice(0, message.indexOf(": expected"));
  });
  for (
    const field of [
      "daemon.servers.virtlockd.services",
      "daemon.servers.admin.services",
      "daemon.servers.virtlockd.clients[0].sock.fd",
      "defaultLockspace.resources[0].fd",
      "lockspaces[0].resources[0].fd",
      "denoVirtlockd.dying[0].pidfd",
      "denoVirtlockd.parked[0]",
      "denoVirtlockd.kept[0].fd",
    ]
  ) {
    assert.ok(fields.includes(field), `${field} is not among ${fields.join(", ")}`);
  }
});

Deno.test("checkDescriptors() tells a listening socket from a connected one", () => {
  const state = fullState();
  assert.throws(
    () => checkDescriptors(sys(state, -1, []), state),
    /^RestartStateError: daemon\.servers\.virtlockd\.services: expected a listening socket, got \d+, which is none$/,
  );
  assert.throws(
    () => checkDescriptors(sys(state, -1, descriptorsOf(state)), state),
    /^RestartStateError: daemon\.servers\.virtlockd\.clients\[0\]\.sock\.fd: expected a connected socket, got \d+/,
  );
});
