import assert from "node:assert/strict";
import { CountedExchange } from "../../../../src/chassis/rpc/counted_exchange.ts";
import { PlainExchange } from "../../../../src/chassis/rpc/plain_exchange.ts";
import { ExitCode, StartError } from "../../../../src/chassis/start/start_error.ts";
import { daemonExchange } from "../../../../src/lockd/daemon/daemon_exchange.ts";
import { LockRecorder } from "../../../../src/lockd/journal/lock_recorder.ts";
import { DurableLog } from "../../../../src/chassis/journal/durable_log.ts";
import type { DescriptorKeeper } from "../../../../src/chassis/journal/descriptor_keeper.ts";
import { SharedMemory } from "../../../../src/chassis/journal/journal_memory.ts";
import { createLog } from "../../../../src/lockd/journal/lock_format.ts";
import { ENOMEM } from "../../../../src/os/errno.ts";
import { kernel } from "../../../support/kernel.ts";
import { KeptLog } from "../journal/kept_log.ts";

const STORE: DescriptorKeeper = {
  idle: true,
  store: () => true,
  cancel: () => false,
  remove: () => {},
  leave: (done) => done(undefined),
};

/** A recorder whose journal is in memory. */
function recorderWith(fd: number, store: DescriptorKeeper | undefined): LockRecorder {
  const memory = new SharedMemory(kernel, fd);
  const loop = { defer: () => {}, after: () => ({ due: 0, cancel: () => {} }), more: false };
  return new LockRecorder({
    log: new DurableLog({ memory, log: createLog(memory), store, loop, logger: new KeptLog() }),
    slots: [],
    markOf: ({ pid }) => ({ pid, start: 0 }),
  });
}

Deno.test("daemonExchange() lies in the journal only where connections outlive the process", () => {
  const fd = kernel.memfd("journal");
  assert.ok(daemonExchange(kernel, recorderWith(fd, STORE)) instanceof CountedExchange);
  assert.ok(daemonExchange(kernel, recorderWith(fd, undefined)) instanceof PlainExchange);
  assert.ok(daemonExchange(kernel, undefined) instanceof PlainExchange);
  kernel.close(fd);
});

Deno.test("daemonExchange() ends the start where there is no memory", () => {
  assert.throws(
    () => daemonExchange({ ...kernel, map: () => -ENOMEM }, undefined),
    (error) => error instanceof StartError && error.code === ExitCode.INITIALISATION,
  );
});
