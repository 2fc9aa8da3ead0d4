import assert from "node:assert/strict";
import { mayLive } from "../../../../../src/lockd/cluster/host/process_lives.ts";
import { endedMark } from "../../../../../src/lockd/lockspace/owner_watch.ts";
import { EACCES, EMFILE, ENOMEM, ESRCH } from "../../../../../src/os/errno.ts";
import { processState } from "../../../../../src/os/process_state.ts";
import { kernel } from "../../../../support/kernel.ts";

const OWN_START = processState(kernel, Deno.pid)?.startTime ?? 0;

Deno.test("a process lives while the kernel knows it by its number and its start", () => {
  assert.notEqual(OWN_START, 0);
  assert.equal(mayLive(kernel, Deno.pid, OWN_START), true);
  assert.equal(mayLive(kernel, Deno.pid, OWN_START + 1), false);
  assert.equal(mayLive(kernel, 4_194_304, 5), false);
});

Deno.test("an owner that is known to have ended is gone, whoever has its number", () => {
  const owner = { pid: Deno.pid, name: "guest", uuid: "u", id: 1 };
  const { pid, start } = endedMark(owner);
  assert.equal(mayLive(kernel, pid, start), false);
  assert.equal(endedMark({ ...owner, hostPid: 7 }).pid, 7);
});

Deno.test("a process of which nothing is known may live", () => {
  assert.equal(mayLive(kernel, 0, 5), true);
  assert.equal(mayLive(kernel, 4_194_304, 0), true);
});

Deno.test("a process that cannot be looked at may live: only that there is none is its end", () => {
  const failing = (errno: number) => ({ ...kernel, open: () => -errno });
  for (const errno of [EMFILE, ENOMEM, EACCES]) assert.equal(mayLive(failing(errno), 7, 5), true);
  assert.equal(mayLive(failing(ESRCH), 7, 5), false);
});
