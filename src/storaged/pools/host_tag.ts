import { sha256 } from "@noble/hashes/sha2";
import { readFileText } from "../../os/read_file.ts";
import type { FileSys } from "../../os/sys.ts";
import { encodeText } from "../../os/text.ts";

/** Digits of a tag. */
const DIGITS = 12;

/**
 * A tag of this host, the same at each start: names of unfinished volumes have it, so that on storage that
 * several hosts share each of them removes only its own.
 */
export function hostTag(sys: Pick<FileSys, "open" | "pread" | "close">): string {
  const id = readFileText(sys, "/etc/machine-id")?.trim() ?? "";
  return [...sha256(encodeText(`virtstoraged ${id}`))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("").slice(0, DIGITS);
}
