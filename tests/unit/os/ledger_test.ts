import assert from "node:assert/strict";
import { DescriptorLedger } from "../../../src/os/ledger.ts";

/** A ledger, and the descriptors that it closed. */
function ledger(result = 0) {
  const closed: number[] = [];
  const sys = {
    close(fd: number) {
      closed.push(fd);
      return result;
    },
  };
  return { ledger: new DescriptorLedger(sys), closed };
}

Deno.test("DescriptorLedger knows what is owned and for what", () => {
  const { ledger: it } = ledger();
  assert.equal(it.own(5, "client"), 5);
  it.own(7, "lock");
  assert.deepEqual([it.has(5), it.has(6), it.size], [true, false, 2]);
  assert.deepEqual([...it.entries()], [[5, "client"], [7, "lock"]]);
});

Deno.test("DescriptorLedger closes what is owned, once", () => {
  const { ledger: it, closed } = ledger(-5);
  it.own(5, "client");
  // Linux frees the number even when close fails.
  assert.equal(it.close(5), -5);
  assert.deepEqual([closed, it.has(5)], [[5], false]);
  assert.throws(() => it.close(5), /^Error: Close descriptor 5: it is not owned here$/);
  it.own(5, "lock");
});

Deno.test("DescriptorLedger refuses a second owner", () => {
  const { ledger: it } = ledger();
  it.own(5, "client");
  assert.throws(() => it.own(5, "lock"), /^Error: Own descriptor 5 as lock: it is already owned as client$/);
});

Deno.test("DescriptorLedger tells when so many more or fewer are owned", () => {
  const { ledger: it } = ledger();
  it.own(1, "client");
  const told: number[] = [];
  it.onChange(3, () => told.push(it.size));
  for (const fd of [2, 3, 4, 5]) it.own(fd, "client");
  assert.deepEqual(told, [4]);
  // What comes and goes changes nothing.
  for (let again = 0; again < 10; again++) {
    it.own(9, "lock");
    it.close(9);
  }
  assert.deepEqual(told, [4]);
  for (const fd of [1, 2, 3, 4]) it.close(fd);
  assert.deepEqual(told, [4, 1]);
});
