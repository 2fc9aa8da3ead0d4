import type { FileSys } from "../../../os/sys.ts";
import { MountTree, parseMounts, typeMayHang } from "../../storage/mount_tree.ts";
import { placeOf } from "../../storage/placement.ts";

/** How long storage may take to answer before it counts as silent, in ms. */
const PATIENCE = 3000;
/** How many mounts are asked at once. */
const AT_ONCE = 32;

/**
 * Mount points of network and FUSE file systems that do not answer. Each is asked in a process of its own:
 * whoever asks dead storage cannot be stopped.
 *
 * @param mountinfo text of /proc/self/mountinfo
 * @param ask whether a mount point answers within a time, in ms
 */
export async function silentMounts(
  mountinfo: string,
  ask: (point: string, patience: number) => Promise<boolean> = answers,
): Promise<string[]> {
  // An automatic mount would be mounted by the question.
  const points = parseMounts(mountinfo).filter(({ type }) => type !== "autofs" && typeMayHang(type))
    .map(({ point }) => point);
  const silent: string[] = [];
  for (let at = 0; at < points.length; at += AT_ONCE) {
    const some = points.slice(at, at + AT_ONCE);
    const answered = await Promise.all(some.map((point) => ask(point, PATIENCE)));
    silent.push(...some.filter((_, index) => answered[index] === false));
  }
  return silent;
}

/**
 * Tells whether a path is on one of these mounts, without touching any of them.
 *
 * @param mountinfo text of /proc/self/mountinfo
 * @param silent mount points
 */
export function isOnMounts(
  sys: Pick<FileSys, "readlink">,
  mountinfo: string,
  silent: readonly string[],
): (path: string) => boolean {
  if (silent.length === 0) return () => false;
  const tree = new MountTree(parseMounts(mountinfo));
  return (path) => {
    const place = placeOf(sys, tree, path)?.point;
    return silent.some((point) => point === place || path === point || path.startsWith(`${point}/`));
  };
}

/**
 * Asks for a name that is not there, which nothing on this host can know. An error is an answer, too: only
 * silence is none.
 */
async function answers(point: string, patience: number): Promise<boolean> {
  // Only when it is needed: the daemon, which is the same program, would start later for it.
  const { spawn } = await import("node:child_process");
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const child = spawn("stat", ["--", `${point}/.virtlockd-${crypto.randomUUID()}`], { stdio: "ignore" });
  const timer = setTimeout(() => {
    child.kill("SIGKILL");
    child.unref();
    resolve(false);
  }, patience);
  const settle = () => {
    clearTimeout(timer);
    resolve(true);
  };
  // Without the program nothing can be told, and the host is looked at as it is.
  child.on("error", settle).on("exit", settle);
  return promise;
}
