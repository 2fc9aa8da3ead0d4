/** The environment of the process. */
type Variables = Readonly<Record<string, string | undefined>>;

/**
 * How many descriptors the service manager keeps: it says so itself since systemd 254, our unit does before.
 */
export function storeLimit(env: Variables): number {
  return numberOf(env["FDSTORE"] ?? env["VIRTLOCKD_FDSTORE_MAX"]);
}

/**
 * Whether there should be a store: the service manager has one, our unit asks for one, or it is not known.
 *
 * @param doubt why it is not known; undefined when it is
 */
export function wantsStore(env: Variables, doubt: string | undefined): boolean {
  return storeLimit(env) > 0 || numberOf(env["VIRTLOCKD_FDSTORE_MAX"]) > 0 || doubt !== undefined;
}

function numberOf(text: string | undefined): number {
  const limit = Number(text ?? "0");
  return Number.isInteger(limit) ? limit : 0;
}
