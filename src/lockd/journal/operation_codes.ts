// How operations are told apart in a record, where each is an array.

/** First element of an operation in a record. */
export const Code = {
  SNAPSHOT: 0,
  LOCKSPACE: 1,
  /** Gives an owner the next number, from 0. */
  HOLDER: 2,
  GRANT: 3,
  SHARE: 4,
  RELEASE: 5,
  DOUBTFUL: 6,
  CLIENT: 7,
  OWNER: 8,
  RESTRICTED: 9,
  GONE: 10,
  DYING: 11,
  SETTLED: 12,
  ORPHAN: 13,
  INPUT: 14,
  ADDED: 15,
  OUTPUT: 16,
  SERVED: 17,
  CARRIED: 18,
} as const;

/** Bits of the flags of a granted resource. */
export const GrantFlag = { SHARED: 1, AUTOCREATE: 2, POSIX: 4 } as const;

/** The path that a resource nearly always has, and that is therefore not written. */
export function usualPath(lockspace: string, name: string): string {
  return lockspace === "" ? name : `${lockspace}/${name}`;
}
