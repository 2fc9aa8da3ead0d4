/** That a host is to be fenced, because somebody has asked for a lock of it. */
export interface FencingWish {
  readonly session: string;
  /** The host's name. */
  readonly name: string;
  /** Since when, Unix milliseconds. */
  readonly since: number;
  /** Who has asked for what, for people. */
  readonly reason: string;
  /** How often it has failed. */
  readonly failures: number;
  /** When somebody has asked last, in ms of the monotonic clock, which goes on over an exec. */
  readonly asked: number;
}

/** What the next image of a daemon has to know of hosts that are to be fenced. */
export interface FencingWishes {
  /** Name of the cluster that they are of. */
  readonly cluster: string;
  readonly hosts: readonly FencingWish[];
}
