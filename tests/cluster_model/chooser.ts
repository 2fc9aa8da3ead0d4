/** Chooses what happens next. */
export interface Chooser {
  /** A number from 0 to `count` - 1. @param what for the recorded list of calls */
  choose(count: number, what: string): number;
}
