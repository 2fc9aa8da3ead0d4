import { deepStrictEqual, match } from "node:assert/strict";
import { growths, type Sample, verdict } from "../../soak/samples.ts";

/** MiB: what the command allows. */
const MOST = 6;

/** A sample every ten seconds. */
function samples(...values: readonly [own: number, descriptors: number, images: number][]): Sample[] {
  return values.map(([own, descriptors, images], index) => ({
    time: index * 10,
    resident: own + 40,
    own,
    descriptors,
    images,
  }));
}

/**
 * A run as the soak makes it: 120 samples, a re-exec after every sixth of the first sixty. Memory is a
 * sawtooth, as a garbage collector leaves it, on top of what a function says.
 *
 * @param more MiB above the floor, by the age of the image in samples, its number and the samples so far
 */
function run(more: (age: number, image: number, index: number) => number): Sample[] {
  return Array.from({ length: 120 }, (_, index) => {
    const image = Math.min(10, Math.floor((index + 1) / 6));
    const age = index - Math.max(0, image * 6 - 1);
    const own = 23 + index * 0.37 % 1 * 5 + more(age, image, index);
    return { time: index * 15, resident: own + 40, own, descriptors: 35, images: image };
  });
}

/** The code of an image is compiled: most of what it needs it has soon. */
function warmUp(age: number, samples: number): number {
  return -10 * Math.exp(-age / samples);
}

Deno.test("growths() compares images that were replaced, and parts of the life of the last one", () => {
  const found = growths(samples(
    [99, 9, 0],
    [20, 9, 0],
    [99, 9, 1],
    [22, 9, 1],
    [99, 9, 2],
    [25, 9, 2],
    [99, 9, 3],
    [26, 9, 3],
    [10, 9, 4],
    [24, 9, 4],
    [99, 9, 4],
    [28, 9, 4],
  ));
  deepStrictEqual(found, [
    { what: "from image to image", from: 21, to: 25.5 },
    { what: "in the life of the last image", from: 24, to: 28 },
  ]);
});

Deno.test("verdict() is content with memory that goes up and down", () => {
  deepStrictEqual(verdict(run(() => 0), MOST), undefined);
});

Deno.test("verdict() is content with images that warm up, in a long run and in a short one", () => {
  deepStrictEqual(verdict(run((age) => warmUp(age, 2)), MOST), undefined);
  deepStrictEqual(verdict(run((age) => warmUp(age, 15)), MOST), undefined);
});

Deno.test("verdict() is content with a first image that differs from the others", () => {
  deepStrictEqual(verdict(run((_age, image) => image === 0 ? -15 : 0), MOST), undefined);
});

Deno.test("verdict() finds 300 bytes that each request of a 30-minute run leaves behind", () => {
  // 15 s with 400 requests a second, far fewer than there are on a slow machine.
  const leak = 300 * 400 * 15 / 1024 / 1024;
  match(
    verdict(run((age) => age * leak), MOST) ?? "",
    /^Memory grew in the life of the last image from \d+\.\d to \d+\.\d MiB, wanted at most 6 MiB more$/,
  );
  // It is the leak that is found, not the warm-up beside it.
  match(
    verdict(run((age) => warmUp(age, 2) + age * leak), MOST) ?? "",
    /^Memory grew in the life of the last image/,
  );
});

Deno.test("verdict() finds 1 KiB that each request of a one-minute run leaves behind", () => {
  // 0.5 s with 500 requests a second.
  const leak = 1024 * 500 * 0.5 / 1024 / 1024;
  match(verdict(run((age) => age * leak), MOST) ?? "", /^Memory grew in the life of the last image/);
});

Deno.test("verdict() finds memory that the state carries from image to image", () => {
  match(
    verdict(run((_age, image) => Math.min(image, 9) * 1.5), MOST) ?? "",
    /^Memory grew from image to image from \d+\.\d to \d+\.\d MiB, wanted at most 6 MiB more$/,
  );
});

Deno.test("verdict() finds a descriptor that was left open", () => {
  const leaking = samples([50, 9, 0], [50, 9, 0], [50, 10, 1]);
  deepStrictEqual(verdict(leaking, MOST), "10 descriptors after 20 s, 9 at first");
});

Deno.test("verdict() needs enough samples", () => {
  deepStrictEqual(verdict([], MOST), "There are no samples");
  const few = samples([50, 9, 0], [50, 9, 1], [50, 9, 2]);
  deepStrictEqual(verdict(few, MOST), "Memory cannot be judged by 3 samples");
});
