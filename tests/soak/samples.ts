/** What was measured at a quiet moment: no client but one, no lock but its own. */
export interface Sample {
  /** Seconds since the beginning. */
  readonly time: number;
  /** Resident memory in MiB. */
  readonly memory: number;
  readonly descriptors: number;
  /** Re-execs so far. */
  readonly images: number;
}

/** How memory goes with time: least squares over some samples, in MiB an hour. */
export function slope(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [time, memory] = [mean((sample) => sample.time), mean((sample) => sample.memory)];
  const covariance = mean((sample) => (sample.time - time) * (sample.memory - memory));
  const variance = mean((sample) => (sample.time - time) ** 2);
  return variance === 0 ? 0 : covariance / variance * 3600;
}

/**
 * What is wrong with the samples of a run; undefined when memory and descriptors are flat.
 *
 * Memory is looked at twice: at the last moment of each image that was replaced, where it must not go up from image to image, and
 * over the long life of the last image, behind the time in which its code is compiled.
 *
 * @param most MiB by which memory may have grown in either
 */
export function verdict(samples: readonly Sample[], most: number): string | undefined {
  const [first] = samples;
  const last = samples.at(-1);
  if (first === undefined || last === undefined) return "There are no samples";
  const leaking = samples.find(({ descriptors }) => descriptors > first.descriptors);
  if (leaking !== undefined) {
    return `${leaking.descriptors} descriptors after ${
      leaking.time.toFixed(0)
    } s, ${first.descriptors} at first`;
  }
  const replaced = samples.filter(({ images }, index) => images !== (samples[index + 1] ?? last).images);
  const images = replaced.length < 2
    ? 0
    : (replaced.at(-1) as Sample).memory - (replaced[0] as Sample).memory;
  if (images > most) return `Memory at the end of an image's life went up by ${images.toFixed(1)} MiB`;
  const life = samples.filter((sample) => sample.images === last.images);
  const settled = life.slice(Math.floor(life.length / 4));
  const duration = last.time - (settled[0]?.time ?? last.time);
  const grown = slope(settled) * duration / 3600;
  return grown > most
    ? `Memory of the last image grew by ${grown.toFixed(1)} MiB in ${duration.toFixed(0)} s`
    : undefined;
}
