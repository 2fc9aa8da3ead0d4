/** A sigset_t (128 bytes in glibc, of which the kernel reads 8) with these signals in it. */
export function signalSet(signals: readonly number[]): Uint8Array<ArrayBuffer> {
  const set = new Uint8Array(128);
  for (const signal of signals) {
    const bit = signal - 1;
    set[bit >> 3] = (set[bit >> 3] as number) | (1 << (bit & 7));
  }
  return set;
}

/** Whether a sigset_t holds a signal. */
export function inSignalSet(set: Uint8Array, signal: number): boolean {
  const bit = signal - 1;
  return ((set[bit >> 3] as number) & (1 << (bit & 7))) !== 0;
}
