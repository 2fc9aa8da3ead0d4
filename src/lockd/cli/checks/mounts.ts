import type { Host } from "../guests/host.ts";

/** A mounted file system. */
export interface Mount {
  readonly point: string;
  /** e.g. `nfs4`. */
  readonly type: string;
  /** What is mounted, e.g. `server:/export`. */
  readonly source: string;
  readonly options: readonly string[];
}

/** The mounted file systems (proc_pid_mountinfo), later ones covering earlier ones. */
export function readMounts(host: Host): Mount[] {
  const lines = (host.read("/proc/self/mountinfo") ?? "").split("\n");
  return lines.flatMap((line) => {
    const [before = "", after] = line.split(" - ");
    const point = before.split(" ")[4];
    const [type, source, options] = after?.split(" ") ?? [];
    if (point === undefined || type === undefined || source === undefined) return [];
    return [{ point: unescape(point), type, source: unescape(source), options: options?.split(",") ?? [] }];
  });
}

/** The file system that a path is on. */
export function mountOf(mounts: readonly Mount[], path: string): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) {
    const covers = mount.point === "/" || path === mount.point || path.startsWith(`${mount.point}/`);
    if (covers && mount.point.length >= (found?.point.length ?? 0)) found = mount;
  }
  return found;
}

/**
 * Whether locks on an NFS mount stay on this host, where no other host sees them (nfs(5): nolock,
 * local_lock).
 */
export function locksStayLocal({ type, options }: Mount): boolean {
  return type.startsWith("nfs") &&
    ["nolock", "local_lock=all", "local_lock=posix"].some((option) => options.includes(option));
}

/** Spaces and the like are written in octal. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits) => String.fromCharCode(parseInt(digits, 8)));
}
