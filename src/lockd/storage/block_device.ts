import type { FileSys } from "../../os/sys.ts";

/**
 * Devices whose medium is this host's alone: in its memory, in one of its files, or at a bus inside of it.
 */
const INSIDE =
  /\/(loop|ram|zram|pmem|fd|mmcblk|mtdblock)\d+(\/|$)|\/(ata|usb)\d+\/|\/pci[^/]*\/.*\/nvme\d+n\d+(\/|$)/;
/** Device mappers may stand on each other. */
const MAX_DEPTH = 16;

/**
 * Whether another host may reach the medium of a block device, as sysfs tells how it is attached. Of what it
 * does not tell, yes.
 */
export function isReachedByOthers(
  sys: Pick<FileSys, "readlink" | "listDirectory">,
  major: number,
  minor: number,
): boolean {
  return reached(sys, `/sys/dev/block/${major}:${minor}`, 0);
}

function reached(sys: Pick<FileSys, "readlink" | "listDirectory">, link: string, depth: number): boolean {
  const place = sys.readlink(link);
  if (typeof place === "number" || depth > MAX_DEPTH) return true;
  if (INSIDE.test(place)) return false;
  const below = sys.listDirectory(`${link}/slaves`);
  if (typeof below === "number" || below.length === 0) return true;
  return below.some((name) => reached(sys, `${link}/slaves/${name}`, depth + 1));
}
