import assert from "node:assert/strict";
import { playSeed } from "../cluster_model/histories.ts";
import type { Crippled } from "../cluster_model/played_etcd.ts";

const STEPS = 150;

/** What the first history that goes wrong says, of so many. */
function firstViolation(
  crippled: Crippled,
  seeds: number,
): { seed: number; violation: string } | undefined {
  for (let seed = 1; seed <= seeds; seed++) {
    const { violation } = playSeed({ hosts: 3, disks: 2, steps: STEPS, crippled }, seed);
    if (violation !== undefined) return { seed, violation };
  }
  return undefined;
}

Deno.test("of 1,000 histories of three hosts none has two guests with one disk, or leaves anything in etcd", () => {
  assert.equal(firstViolation("none", 1000), undefined);
});

for (
  const [crippled, expected] of [
    ["no-epoch", /./],
    ["release-unseen", /^guests .* have disk/],
    ["lease-is-proof", /^guests .* have disk/],
    ["no-marks", /^guest .* goes on over what guest .* has written/],
    ["return-from-leaving", /^guests .* have disk|^guest .* goes on over/],
    ["share-of-one", /^guests .* have disk/],
    ["fence-unseen", /^guests .* have disk|is not granted/],
    ["condemned-is-fenced", /^guests .* have disk|is not granted/],
  ] as const
) {
  Deno.test(`the model notices when a rule is left out: ${crippled}`, () => {
    assert.match(firstViolation(crippled, 3000)?.violation ?? "nothing", expected);
  });
}
