import assert from "node:assert/strict";
import { ALWAYS_KEPT, type BudgetedClient, InputBudget } from "../../../../src/chassis/rpc/input_budget.ts";

/** A client that counts how often it was told of room. */
class Client implements BudgetedClient {
  told = 0;

  roomForInput(): void {
    this.told++;
  }
}

Deno.test("InputBudget.grant() lets every client have a sensible request, however little room there is", () => {
  const budget = new InputBudget(0);
  for (let count = 0; count < 100; count++) assert.ok(budget.grant(new Client(), ALWAYS_KEPT));
  assert.ok(!budget.grant(new Client(), ALWAYS_KEPT + 1));
});

Deno.test("InputBudget.grant() refuses who has much once all together have too much", () => {
  const budget = new InputBudget(1000);
  const [one, two, three] = [new Client(), new Client(), new Client()];
  assert.ok(budget.grant(one, ALWAYS_KEPT + 400));
  assert.ok(budget.grant(two, ALWAYS_KEPT + 599));
  assert.ok(!budget.grant(two, ALWAYS_KEPT + 600));
  assert.ok(!budget.grant(one, ALWAYS_KEPT + 400));
  assert.ok(budget.grant(three, 100));
});

Deno.test("InputBudget.grant() tells those who wait when there is room again, once", () => {
  const budget = new InputBudget(1000);
  const [one, two, three] = [new Client(), new Client(), new Client()];
  assert.ok(!budget.grant(one, ALWAYS_KEPT + 1500));
  assert.ok(!budget.grant(two, ALWAYS_KEPT + 1));
  assert.ok(budget.grant(three, 0));
  assert.equal(two.told, 0);
  assert.ok(budget.grant(one, 0));
  assert.deepEqual([one.told, two.told, three.told], [0, 1, 0]);
  budget.grant(three, ALWAYS_KEPT + 2000);
  budget.grant(three, 0);
  assert.equal(two.told, 1);
});

Deno.test("InputBudget.grant() forgets a client that has gone while it waited", () => {
  const budget = new InputBudget(0);
  const [one, two] = [new Client(), new Client()];
  budget.grant(one, ALWAYS_KEPT + 1);
  budget.grant(two, ALWAYS_KEPT + 1);
  budget.grant(one, 0);
  budget.grant(two, 0);
  assert.deepEqual([one.told, two.told], [0, 0]);
  assert.ok(budget.grant(one, ALWAYS_KEPT));
});
