import type { Owner } from "./owner.ts";

/** What the lock core has to know of other hosts that lock the same. */
export interface OtherHosts {
  /** Whether other hosts lock the same file too. @param path of the lock file */
  covers(path: string): boolean;
  /**
   * Whether a lock is kept that was released for a guest whose process goes on: until somebody else asks.
   *
   * @param path of the lock file
   */
  keeps(path: string): boolean;
  /** Whether a lock that is kept can be given up now: it would be neither its guest's nor anybody's else. */
  gives(): boolean;
  /** Why a lock that was kept must not be given to its guest again; undefined when it may. */
  withheld(path: string): string | undefined;
  /** What an owner was granted was no use: its guest was not started with it. */
  unused(path: string): void;
  /**
   * Another guest of this host is about to share a lock with those that have it.
   *
   * @param done called once, perhaps at once: with why it must not, or undefined when it may
   */
  joins(path: string, done: (reason: string | undefined) => void): void;
  /**
   * An owner that has a lock still is about to be granted it again, as a guest whose start has failed before.
   *
   * @returns why it must not be; undefined when it may
   */
  regrants(path: string): string | undefined;
  /**
   * A lock is over that had no file here any more: nobody on this host has it, or takes it again for who had
   * it.
   *
   * @param paused owner whose process goes on without it; undefined for a share, and when none does
   */
  gone(path: string, paused: Owner | undefined): void;
}
