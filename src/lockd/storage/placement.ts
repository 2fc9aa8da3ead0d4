import { PATH_MAX } from "../../os/c_string.ts";
import { EINVAL, ENOENT } from "../../os/errno.ts";
import type { FileSys } from "../../os/sys.ts";
import type { Mount, MountTree } from "./mount_tree.ts";

/** As many symbolic links as the kernel follows in one path (path_resolution(7)). */
const MAX_LINKS = 40;

/**
 * The first mount on the way to `path` that may hang; undefined when there is none, so that the path can be
 * used at once.
 *
 * Found without touching such a mount: symbolic links are read only on other filesystems, the last
 * component's too. A path that the kernel would refuse before it gets there has no such mount.
 */
export function placeOf(sys: Pick<FileSys, "readlink">, tree: MountTree, path: string): Mount | undefined {
  if (tree.mayHang.length === 0) return undefined;
  const mount = mountOf(sys, tree, path);
  return mount !== undefined && tree.hangs(mount) ? mount : undefined;
}

/**
 * The mount on which `path` is, or the first one on the way that may hang: what is behind it cannot be found
 * out without touching it. Undefined for a path that the kernel would refuse.
 */
export function mountOf(sys: Pick<FileSys, "readlink">, tree: MountTree, path: string): Mount | undefined {
  return wayTo(sys, tree, path)?.mount;
}

/**
 * A name of a file or directory that does not depend on how its path is written, over which symbolic links
 * the way goes, or where its filesystem is mounted: the device's number and the path in the filesystem. Two
 * paths of one file have the same one, but for hard links. What is behind a mount that may hang is taken as
 * it is written. Nothing need be there.
 *
 * @returns undefined for a path that the kernel would refuse
 */
export function locationOf(
  sys: Pick<FileSys, "readlink">,
  tree: MountTree,
  path: string,
): string | undefined {
  const way = wayTo(sys, tree, path);
  if (way === undefined) return undefined;
  const { mount: { device, point, root }, entered, rest } = way;
  const inside = `${root}/${entered.slice(point === "/" ? 0 : point.length)}/${rest.join("/")}`;
  const names: string[] = [];
  for (const name of inside.split("/")) {
    if (name === "..") names.pop();
    else if (name !== "" && name !== ".") names.push(name);
  }
  return `${device}:/${names.join("/")}`;
}

/** How far a path can be followed without touching a mount that may hang. */
interface Way {
  readonly mount: Mount;
  /** Path of what was entered last, without symbolic links. */
  readonly entered: string;
  /** Names that were not looked at. */
  readonly rest: readonly string[];
}

function wayTo(sys: Pick<FileSys, "readlink">, tree: MountTree, path: string): Way | undefined {
  if (path.length >= PATH_MAX) return undefined;
  const rest = components(path);
  if (!path.startsWith("/")) {
    const current = sys.readlink("/proc/self/cwd");
    if (typeof current === "number") return undefined;
    rest.push(...components(current));
  }
  // Each directory that was entered, with the id of its mount, so that `..` finds the way back.
  const trail = [{ path: "", mount: tree.root }];
  let links = 0;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      if (trail.length > 1) trail.pop();
      continue;
    }
    const here = trail[trail.length - 1] as { path: string; mount: number };
    const next = `${here.path}/${name}`;
    const mount = tree.at(here.mount, next);
    if (mount !== undefined) {
      if (tree.hangs(mount)) return { mount, entered: next, rest: rest.reverse() };
      trail.push({ path: next, mount: mount.id });
      continue;
    }
    const target = sys.readlink(next);
    if (typeof target === "string") {
      if (++links > MAX_LINKS) return undefined;
      if (target.startsWith("/")) trail.length = 1;
      rest.push(...components(target));
    } else if (target === -EINVAL || target === -ENOENT) {
      // Not a link. What is absent may be made on the way: a lockspace directory is made with its parents.
      trail.push({ path: next, mount: here.mount });
    } else {
      return undefined;
    }
  }
  const last = trail[trail.length - 1] as { path: string; mount: number };
  const mount = tree.byId(last.mount);
  return mount === undefined ? undefined : { mount, entered: last.path, rest: [] };
}

/** Last component first. */
function components(path: string): string[] {
  return path.split("/").reverse();
}
