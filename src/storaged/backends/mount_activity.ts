import { parseMountinfo } from "../../os/mountinfo.ts";
import { readFileText } from "../../os/read_file.ts";
import type { Sys } from "../../os/sys.ts";

/** What reading about mounts needs of the kernel. */
type ReadSys = Pick<Sys, "open" | "close" | "pread">;

/**
 * How much the storage below a mount has read and written, by what the kernel counts of its device or of its
 * server's answers: two answers are the same if it has done nothing in between, or if nothing is counted.
 *
 * The mount itself is not touched.
 */
export function mountActivity(sys: ReadSys, path: string): string {
  const mounts = parseMountinfo(readFileText(sys, "/proc/self/mountinfo") ?? "");
  const mount = mounts.findLast(({ point }) => point === path);
  if (mount === undefined) return "";
  const { devMajor, devMinor } = mount;
  // Those of file systems without a device of their own begin with 0.
  if (devMajor !== 0) return readFileText(sys, `/sys/dev/block/${devMajor}:${devMinor}/stat`) ?? "";
  const sections = (readFileText(sys, "/proc/self/mountstats") ?? "").split(/^(?=device )/m);
  const own = sections.findLast((section) => section.includes(` mounted on ${path} with fstype `));
  // What goes on there without an answer is counted too, but not here.
  return own?.split("\n").find((line) => line.trimStart().startsWith("bytes:")) ?? "";
}
