import assert from "node:assert/strict";
import { returnSpareMemory } from "../../../../src/chassis/start/spare_memory.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { MovedLoop } from "../../../support/moved_loop.ts";

function watched(): { moved: MovedLoop; ledger: DescriptorLedger; trims: () => number } {
  let trims = 0;
  const moved = new MovedLoop();
  const ledger = new DescriptorLedger({ close: () => 0 });
  returnSpareMemory({ trimHeap: () => void trims++ }, moved.loop, ledger);
  return { moved, ledger, trims: () => trims };
}

Deno.test("memory is given back once, a while after much has come, and after it has gone", () => {
  const { moved, ledger, trims } = watched();
  using _loop = moved;
  for (let fd = 0; fd < 5000; fd++) ledger.own(fd, "client");
  moved.turn();
  assert.equal(trims(), 0);
  moved.wait(200);
  assert.equal(trims(), 1);
  moved.wait(60_000);
  assert.equal(trims(), 1);
  for (let fd = 0; fd < 5000; fd++) ledger.close(fd);
  moved.wait(200);
  assert.equal(trims(), 2);
});

Deno.test("nothing is given back for clients that come and go", () => {
  const { moved, ledger, trims } = watched();
  using _loop = moved;
  for (let again = 0; again < 5000; again++) {
    ledger.own(7, "client");
    ledger.close(7);
  }
  moved.wait(60_000);
  assert.equal(trims(), 0);
});
