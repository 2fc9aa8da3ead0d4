import { errnoName, strerror } from "./errno.ts";

/**
 * A system call failed.
 *
 * Made once, where the call was made. Whoever answers a client makes a refusal of it; whoever has nobody to
 * answer logs it, once.
 */
export class SystemError extends Error {
  override readonly name = "SystemError";
  /** Name of the call, e.g. `open`, or what several calls were for, e.g. `Open PID file`. */
  readonly call: string;
  /** What it was about: a path, a descriptor's purpose. */
  readonly subject: string;
  /** Positive errno. */
  readonly errno: number;

  /**
   * @param call name of the system call, or what was tried with several
   * @param subject path or purpose
   * @param errno positive errno, or the negative result of a {@link Sys} method
   */
  constructor(call: string, subject: string, errno: number) {
    const positive = Math.abs(errno);
    super(`${call} ${subject}: ${strerror(positive)} (${errnoName(positive)})`);
    this.call = call;
    this.subject = subject;
    this.errno = positive;
  }

  /** The kernel's text for the errno, e.g. `No such file or directory`. */
  get reason(): string {
    return strerror(this.errno);
  }
}

/**
 * Pass a {@link Sys} result through, or throw.
 *
 * @param result value >= 0, or -errno
 * @throws SystemError when the result is negative
 */
export function must(result: number, call: string, subject: string): number {
  if (result < 0) throw new SystemError(call, subject, result);
  return result;
}
