import { O_CLOEXEC, O_RDWR, SIGINT, SIGKILL, SIGTERM } from "../../os/constants.ts";
import { EAGAIN } from "../../os/errno.ts";
import { readWhole } from "../../os/read_file.ts";
import type { Sys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { decodeText } from "../../os/text.ts";
import { MountTree, parseMounts } from "./mount_tree.ts";
import { placeOf } from "./placement.ts";

/** How long storage may take to give a small file, in ms. */
export const PATIENCE = 3000;

/** Arguments of a shell that prints the beginning of the file which is named behind them. */
export const GIVE: readonly string[] = ["-c", 'exec head -c 65536 -- "$1"', "sh"];

/**
 * The mount that does not give a file; undefined when it does, or says that it cannot.
 *
 * Whoever opens a file on dead storage waits for ever and hears no signal, so what may hang is asked by a
 * process of its own. That inherits descriptors that are not closed on exec, and so starts also while others
 * hang.
 *
 * @param signals whether SIGTERM and SIGINT end this process while it waits, or go on being kept from it
 */
export function silentMountOf(sys: Sys, path: string, signals: "end" | "wait"): string | undefined {
  const point = mountThatMayHang(sys, path);
  return point === undefined || answers(sys, path, signals) ? undefined : point;
}

/**
 * The first mount on the way to a file that may hang; undefined when there is none, or the list of mounts
 * cannot be read: then the file is opened as it is.
 */
export function mountThatMayHang(sys: Sys, path: string): string | undefined {
  try {
    const mounts = parseMounts(decodeText(readWhole(sys, "/proc/self/mountinfo")));
    return placeOf(sys, new MountTree(mounts), path)?.point;
  } catch (error) {
    if (error instanceof SystemError) return undefined;
    throw error;
  }
}

function answers(sys: Sys, path: string, signals: "end" | "wait"): boolean {
  const pipe = sys.pipe();
  // Too few descriptors: the start will say so itself.
  if (typeof pipe === "number") return true;
  const [output, input] = pipe;
  const nothing = sys.open("/dev/null", O_RDWR | O_CLOEXEC, 0);
  const child = nothing < 0 ? nothing : sys.spawn({
    path: "/bin/sh",
    argv: ["sh", ...GIVE, path],
    env: ["PATH=/usr/bin:/bin"],
    descriptors: [nothing, input, nothing],
    blockedSignals: [],
    newSession: true,
  });
  sys.close(input);
  if (nothing >= 0) sys.close(nothing);
  const ended = child < 0 || untilEnd(sys, output, signals);
  sys.close(output);
  if (child < 0) return true;
  if (!ended) sys.kill(child, SIGKILL);
  // One that cannot be killed is left to the kernel.
  sys.waitChild(child, ended, new Int32Array(1));
  return ended;
}

/** Reads until nobody writes any more. False when that is not so in time. */
function untilEnd(sys: Sys, output: number, signals: "end" | "wait"): boolean {
  const bytes = new Uint8Array(65536);
  const end = sys.monotonic() + PATIENCE;
  const ending = [SIGTERM, SIGINT];
  const blocked = signals === "end" && sys.signalsBlocked(ending) === 1;
  if (blocked) sys.unblockSignals(ending);
  try {
    for (;;) {
      const left = end - sys.monotonic();
      if (left <= 0 || sys.pollReadable(output, Math.ceil(left)) === 0) return false;
      const count = sys.read(output, bytes);
      if (count <= 0 && count !== -EAGAIN) return true;
    }
  } finally {
    if (blocked) sys.blockSignals(ending);
  }
}
