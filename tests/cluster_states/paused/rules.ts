/** Rules of the protocol that can be left out, to see that it is noticed. */
const RULES = {
  "leaving-final": "a guest is not resumed with a lock that is on its way out",
  "mark": "a release for a paused guest puts a mark",
  "mark-at-once": "the mark comes with the release, in one transaction",
  "mark-told": "who takes the lock writes so into the marks of other hosts",
  "mark-told-here": "who takes the lock writes so into the marks of its own host",
  "marks-seen": "an acquire compares that the marks are those that it writes into",
  "mark-heeded": "a paused guest does not get its lock again when its mark says that another one had it",
  "mark-again": "what gives up the return of a paused guest puts its mark again",
  "unmark": "a mark goes when its guest has ended",
} as const;

/** The same, where no daemon is killed. */
export const UNKILLED_RULES = {
  ...RULES,
  "unused": "who was granted a lock and has not run takes that back from the marks",
  "granted-again": "a lock that was no use and is granted again counts",
} as const;

/** The same, where daemons are killed that have granted nothing that has not run. */
export const TAKING_RULES = {
  "ungranted-kept": "the next daemon knows of what was never granted to anybody, and takes that back",
} as const;

/** The same, where daemons are killed. */
export const KILLED_RULES = {
  ...RULES,
  "granted-ends": "a lock that is granted is none any more that was never granted",
  "granted-heirs": "what takes the place of a lock was never granted only where that was not",
  "granted-lost": "a daemon that may not know all that was granted knows of nothing that it was never",
  "unused-at-once": "what marks say of a lock that was never granted goes with that, in one transaction",
  "leaving-first": "that a lock is on its way out is in the journal before etcd hears of it",
  "again-kept": "what etcd had for a guest stays when its asking again is given up",
  "start-marks": "a daemon that starts looks up the marks of its host",
} as const;

export type Rule = keyof typeof UNKILLED_RULES | keyof typeof TAKING_RULES | keyof typeof KILLED_RULES;
