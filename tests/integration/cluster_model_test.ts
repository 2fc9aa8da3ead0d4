import assert from "node:assert/strict";
import { playSeed } from "../cluster_model/histories.ts";
import type { Crippled } from "../cluster_model/played_etcd.ts";

const STEPS = 150;

/** What the first history that goes wrong says, of those from a seed on. */
function firstViolation(
  crippled: Crippled,
  first: number,
  seeds: number,
): { seed: number; violation: string } | undefined {
  for (let seed = first; seed < first + seeds; seed++) {
    const { violation } = playSeed({ hosts: 3, disks: 2, steps: STEPS, crippled }, seed);
    if (violation !== undefined) return { seed, violation };
  }
  return undefined;
}

// More of them, with other seeds, are played by `deno task model:cluster`.
Deno.test("of 200 histories of three hosts none has two guests with one disk, or leaves anything in etcd", () => {
  assert.equal(firstViolation("none", 1, 200), undefined);
});

Deno.test("nor of 100 in which people close the cluster and open it again", () => {
  for (let seed = 1; seed <= 100; seed++) {
    const { violation } = playSeed(
      { hosts: 3, disks: 2, steps: STEPS, crippled: "none", reopens: true },
      seed,
    );
    assert.equal(violation, undefined, `seed ${seed}`);
  }
});

Deno.test("nor of 100 in which guests are refused before it is known what comes of what they asked for", () => {
  for (let seed = 1; seed <= 100; seed++) {
    const { violation } = playSeed(
      { hosts: 3, disks: 2, steps: STEPS, crippled: "none", impatient: true },
      seed,
    );
    assert.equal(violation, undefined, `seed ${seed}`);
  }
});

for (
  // With the seed of a history that shows it. After a change of what is played others do, and are looked for.
  const [crippled, seed, expected] of [
    ["no-epoch", 49, /./],
    ["release-unseen", 124, /^guests .* have disk/],
    ["lease-is-proof", 684, /^guests .* have disk/],
    ["no-marks", 130, /^guest .* goes on over what guest .* has written/],
    ["return-from-leaving", 2320, /^guests .* have disk|^guest .* goes on over/],
    ["share-of-one", 324, /^guests .* have disk/],
    ["fence-unseen", 53, /^guests .* have disk|is not granted/],
    ["condemned-is-fenced", 68, /^guests .* have disk|is not granted/],
  ] as const
) {
  Deno.test(`the model notices when a rule is left out: ${crippled}`, () => {
    assert.match(firstViolation(crippled, seed, 3000)?.violation ?? "nothing", expected);
  });
}
