import type { ProcessMemory } from "../support/process_usage.ts";

/** What was measured at a quiet moment: no client but one, no lock but its own. */
export interface Sample extends Omit<ProcessMemory, "anonymous"> {
  /** Seconds since the beginning. */
  readonly time: number;
  readonly descriptors: number;
  /** Re-execs so far. */
  readonly images: number;
}

/** Own memory in MiB at two times that must not differ by much. */
export interface Growth {
  readonly what: string;
  readonly from: number;
  readonly to: number;
}

/**
 * How own memory went. Only what has run equally long, or is warmed up, is compared, and each side is a
 * median: the garbage collector makes single samples differ by some MiB.
 *
 * - Image by image: those that were replaced first with those that were replaced last, each in the second
 *   half of its life.
 * - In the long life of the last image: its second quarter with its last one. In the first one its code is
 *   compiled.
 */
export function growths(samples: readonly Pick<Sample, "own" | "images">[]): Growth[] {
  const last = samples.at(-1)?.images ?? 0;
  const lives = Array.from(
    { length: last + 1 },
    (_, image) => samples.filter(({ images }) => images === image),
  )
    .filter((life) => life.length > 0);
  const level = (part: readonly Pick<Sample, "own">[]) => median(part.map(({ own }) => own));
  const levels = lives.slice(0, -1).map((life) => level(life.slice(life.length >> 1)));
  const found: Growth[] = [];
  if (levels.length > 1) {
    const half = levels.length >> 1;
    found.push({
      what: "from image to image",
      from: median(levels.slice(0, half)),
      to: median(levels.slice(-half)),
    });
  }
  const life = lives.at(-1) ?? [];
  const quarter = life.length >> 2;
  if (quarter > 0) {
    const from = level(life.slice(quarter, 2 * quarter));
    found.push({ what: "in the life of the last image", from, to: level(life.slice(-quarter)) });
  }
  return found;
}

/**
 * What is wrong with the samples of a run; undefined when memory and descriptors are flat.
 *
 * @param most MiB by which own memory may grow
 */
export function verdict(samples: readonly Sample[], most: number): string | undefined {
  const [first] = samples;
  if (first === undefined) return "There are no samples";
  const leaking = samples.find(({ descriptors }) => descriptors > first.descriptors);
  if (leaking !== undefined) {
    const seconds = leaking.time.toFixed(0);
    return `${leaking.descriptors} descriptors after ${seconds} s, ${first.descriptors} at first`;
  }
  const found = growths(samples);
  if (found.length < 2) return `Memory cannot be judged by ${samples.length} samples`;
  const grown = found.find(({ from, to }) => to - from > most);
  if (grown === undefined) return undefined;
  const { what, from, to } = grown;
  return `Memory grew ${what} from ${from.toFixed(1)} to ${
    to.toFixed(1)
  } MiB, wanted at most ${most} MiB more`;
}

/** The middle one of some values, or between the two in the middle; there is at least one. */
function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1] ?? 0, sorted[sorted.length >> 1] ?? 0];
  return (low + high) / 2;
}
