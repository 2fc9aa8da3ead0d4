import { deepStrictEqual, match } from "node:assert/strict";
import { type Sample, slope, verdict } from "../../soak/samples.ts";

/** A sample every ten seconds. */
function samples(...values: readonly [memory: number, descriptors: number, images: number][]): Sample[] {
  return values.map(([memory, descriptors, images], index) => ({
    time: index * 10,
    memory,
    descriptors,
    images,
  }));
}

Deno.test("slope() is the growth in an hour", () => {
  deepStrictEqual(slope(samples([50, 9, 0], [51, 9, 0], [52, 9, 0])).toFixed(3), "360.000");
  deepStrictEqual(slope(samples([50, 9, 0])), 0);
});

Deno.test("verdict() is content with what stays as it is", () => {
  const flat = samples([50, 9, 0], [60, 9, 0], [51, 9, 1], [61, 9, 1], [50, 9, 2], [61, 9, 2], [60, 9, 2], [
    61,
    9,
    2,
  ]);
  deepStrictEqual(verdict(flat, 5), undefined);
});

Deno.test("verdict() finds a descriptor that was left open", () => {
  const leaking = samples([50, 9, 0], [50, 9, 0], [50, 10, 1]);
  deepStrictEqual(verdict(leaking, 5), "10 descriptors after 20 s, 9 at first");
});

Deno.test("verdict() finds memory that grows from image to image", () => {
  const growing = samples([50, 9, 0], [53, 9, 1], [57, 9, 2], [57, 9, 3]);
  deepStrictEqual(verdict(growing, 5), "Memory at the end of an image's life went up by 7.0 MiB");
});

Deno.test("verdict() finds memory that grows in the last image", () => {
  const growing = samples([50, 9, 0], [52, 9, 0], [54, 9, 0], [56, 9, 0], [58, 9, 0]);
  match(verdict(growing, 5) ?? "", /^Memory of the last image grew by 6\.0 MiB in 30 s$/);
});

Deno.test("verdict() needs samples", () => {
  deepStrictEqual(verdict([], 5), "There are no samples");
});
