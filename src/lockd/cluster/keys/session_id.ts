// A host has one session for each start of its kernel, and another one each time that it was fenced and
// lives. Their ids tell that they are of one start: behind the first one's comes a number.

/** The session that follows one that was fenced. */
export function followingSession(id: string): string {
  const [first = "", number = "1"] = id.split(".");
  return `${first}.${Number(number) + 1}`;
}

/** Whether a session follows one that was fenced. */
export function isFollowing(id: string): boolean {
  return id.includes(".");
}

/** Whether two sessions are of one start of one host, so that a process has the same number in both. */
export function isSameStart(one: string, other: string): boolean {
  return one.split(".")[0] === other.split(".")[0];
}
