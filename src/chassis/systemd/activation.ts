/** A descriptor with the name that the service manager has given it, "" without one. */
export interface NamedDescriptor {
  readonly fd: number;
  readonly name: string;
}

/** Descriptors handed over by the service manager (sd_listen_fds(3)). */
export interface Activation {
  /** The caller owns them. */
  readonly descriptors: readonly NamedDescriptor[];
}

/** First descriptor of socket activation. */
export const LISTEN_FDS_START = 3;

/**
 * Reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES. docs/behaviour.md, systemd.
 *
 * @param variable looks an environment variable up
 * @param pid our own
 * @returns the descriptors, none when they are not meant for us
 */
export function readActivation(variable: (name: string) => string | undefined, pid: number): Activation {
  const none = { descriptors: [] };
  const count = Number(variable("LISTEN_FDS") ?? "0");
  if (variable("LISTEN_PID") !== String(pid) || !Number.isInteger(count) || count < 1) return none;
  const names = (variable("LISTEN_FDNAMES") ?? "").split(":");
  return {
    descriptors: Array.from({ length: count }, (_, index) => ({
      fd: LISTEN_FDS_START + index,
      name: names[index] ?? "",
    })),
  };
}
