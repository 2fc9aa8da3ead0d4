import type { FileSys } from "../../os/sys.ts";
import { decodeText } from "../../os/text.ts";

const CHUNK = 65536;

/**
 * The whole text of an open file from its beginning on, however often: for files of /proc that change.
 *
 * @returns the text, or -errno
 */
export function readText(sys: Pick<FileSys, "pread">, fd: number): string | number {
  let bytes = new Uint8Array(CHUNK);
  let length = 0;
  for (;;) {
    const count = sys.pread(fd, bytes.subarray(length), length);
    if (count < 0) return count;
    if (count === 0) return decodeText(bytes, 0, length);
    length += count;
    if (length < bytes.length) continue;
    const larger = new Uint8Array(bytes.length * 2);
    larger.set(bytes);
    bytes = larger;
  }
}
