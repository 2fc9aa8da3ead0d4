import assert from "node:assert/strict";
import { parseSlot } from "../../../../src/lockd/journal/descriptor_names.ts";
import { byAge, parseQueueName, queueName } from "../../../../src/lockd/store/queue_names.ts";

Deno.test("parseQueueName() reads what queueName() writes, which is no slot", () => {
  assert.equal(queueName({ life: 123456, number: 7 }), "queue-123456-7");
  assert.deepEqual(parseQueueName("queue-123456-7"), { life: 123456, number: 7 });
  assert.equal(parseSlot("queue-1-0"), undefined);
});

Deno.test("parseQueueName() refuses everything else", () => {
  for (const name of ["queue", "queue-1", "queue-1-2-3", "queue-a-1", "journal", "Ab", "queue--1-1"]) {
    assert.equal(parseQueueName(name), undefined, name);
  }
});

Deno.test("byAge() puts the earlier life first, and in a life the queue that was begun first", () => {
  const ids = [{ life: 10, number: 0 }, { life: 9, number: 11 }, { life: 9, number: 2 }];
  assert.deepEqual(ids.sort(byAge), [
    { life: 9, number: 2 },
    { life: 9, number: 11 },
    { life: 10, number: 0 },
  ]);
});
