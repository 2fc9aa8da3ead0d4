import type { FileSys } from "../../os/sys.ts";
import { type Place, type Places, samePlace } from "../lockspace/places.ts";
import type { MountTable } from "./mount_table.ts";
import { typeMayHang } from "./mount_tree.ts";
import { mountOf } from "./placement.ts";

/** What an automatic mount point is as long as nothing is mounted there. */
const AUTOMATIC = "autofs";

/** Tells from the list of mounts on which file systems directories lie. */
export class MountedPlaces implements Places {
  readonly #sys: Pick<FileSys, "readlink">;
  readonly #mounts: Pick<MountTable, "tree" | "refresh">;

  constructor(sys: Pick<FileSys, "readlink">, mounts: Pick<MountTable, "tree" | "refresh">) {
    this.#sys = sys;
    this.#mounts = mounts;
  }

  get generation(): object {
    return this.#mounts.tree;
  }

  refresh(): void {
    this.#mounts.refresh();
  }

  placeOf(path: string): Place | undefined {
    const mount = mountOf(this.#sys, this.#mounts.tree, path);
    if (mount === undefined || mount.type === AUTOMATIC) return undefined;
    const { source, type, point, device } = mount;
    return { source, type, point, device };
  }

  isMounted(place: Place): boolean {
    return this.#mounts.tree.all.some((mount) => mount.point === place.point && samePlace(mount, place));
  }

  isShared({ type }: Place): boolean {
    return typeMayHang(type);
  }
}
