/** The environment of the process. */
type Variables = Readonly<Record<string, string | undefined>>;

/** How many descriptors our unit has systemd keep, where nobody has said. */
export const ASSUMED_LIMIT = 65_536;

/**
 * How many descriptors the service manager keeps: it says so itself since systemd 254, our unit does before.
 * One that has not answered is sent everything all the same: until it has, a crash would free every lock, and
 * what it does not take is noticed.
 *
 * @param doubt why it is not known; undefined when it is
 */
export function storeLimit(env: Variables, doubt: string | undefined): number {
  const told = numberOf(env["FDSTORE"] ?? env["VIRTLOCKD_FDSTORE_MAX"]);
  return told === 0 && doubt !== undefined ? ASSUMED_LIMIT : told;
}

/**
 * Whether there should be a store: the service manager has one, our unit asks for one, or it is not known.
 *
 * @param doubt why it is not known; undefined when it is
 */
export function wantsStore(env: Variables, doubt: string | undefined): boolean {
  return storeLimit(env, doubt) > 0 || numberOf(env["VIRTLOCKD_FDSTORE_MAX"]) > 0;
}

function numberOf(text: string | undefined): number {
  const limit = Number(text ?? "0");
  return Number.isInteger(limit) ? limit : 0;
}
