import { O_CLOEXEC, O_CREAT, O_NOFOLLOW, O_RDWR } from "../../os/constants.ts";
import type { Sys } from "../../os/sys.ts";
import { decodeText, encodeText } from "../../os/text.ts";

/** The first pause, in ms; each one after it is twice as long. */
const FIRST_MS = 100;
/** A failure that is longer ago than this was another trouble: counting begins anew. In ms. */
const FORGET_MS = 300_000;

type PauseSys = Pick<
  Sys,
  | "open"
  | "read"
  | "pwrite"
  | "ftruncate"
  | "close"
  | "unlink"
  | "monotonic"
>;

/**
 * How long to wait before a start that failed is tried again. The service manager starts the daemon again at
 * once and for ever, which is right for a crash and too much for a start that keeps failing; old ones cannot
 * be told to wait longer each time. How often it has failed is in a file below /run.
 */
export class StartPause {
  readonly #sys: PauseSys;
  readonly #path: string;

  /** @param path the file with the number of failures */
  constructor(sys: PauseSys, path: string) {
    this.#sys = sys;
    this.#path = path;
  }

  /**
   * One more failure.
   *
   * @param longest the pause grows up to this, in ms
   * @returns the pause before the next try, in ms; the longest one where failures cannot be counted
   */
  failed(longest: number): number {
    const { monotonic, open, read, pwrite, ftruncate, close } = this.#sys;
    const fd = open(this.#path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600);
    if (fd < 0) return longest;
    const now = Math.floor(monotonic());
    const bytes = new Uint8Array(64);
    const length = read(fd, bytes);
    const [, count = "0", at = "0"] =
      /^(\d{1,9}) (\d{1,15})$/.exec(decodeText(bytes, 0, Math.max(0, length))) ?? [];
    const recent = now - Number(at) < FORGET_MS && now >= Number(at);
    const failures = recent ? Number(count) : 0;
    ftruncate(fd, 0);
    pwrite(fd, encodeText(`${failures + 1} ${now}`), 0);
    close(fd);
    return Math.min(longest, FIRST_MS * 2 ** Math.min(failures, 20));
  }

  /** A start has succeeded. */
  succeeded(): void {
    this.#sys.unlink(this.#path);
  }
}
