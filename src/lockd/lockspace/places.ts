/** The file system on which a directory lies. */
export interface Place {
  /** Server or device, e.g. `server:/export`. */
  readonly source: string;
  /** E.g. `nfs4`. */
  readonly type: string;
  /** Where it is mounted. */
  readonly point: string;
  /** Number of its device, as long as it stays mounted. */
  readonly device: number;
}

/** Tells on which file systems directories lie, without asking their storage anything. */
export interface Places {
  /**
   * Another object whenever something was mounted or unmounted: what was found out before may have changed.
   */
  readonly generation: object;
  /** Looks at once whether anything was mounted or unmounted, without waiting to be told. */
  refresh(): void;
  /** Undefined when it is not known, as below an automatic mount that is not mounted just now. */
  placeOf(path: string): Place | undefined;
  /** Whether the file system is still mounted where it was, perhaps below another one. */
  isMounted(place: Place): boolean;
  /** Whether other hosts may see the same files there. */
  isShared(place: Place): boolean;
}

/** A lock directory that the settings name. */
export interface AllowedDirectory {
  /** Server or device that has to be mounted there; undefined: any. */
  readonly source: string | undefined;
}

/** What names a server or a device, unlike `tmpfs` or `none`. */
const TELLING = /[/:]/;

/** Whether two places are one file system, wherever it is mounted. */
export function samePlace(a: Place, b: Place): boolean {
  if (a.source !== b.source || a.type !== b.type) return false;
  return TELLING.test(a.source) || a.device === b.device;
}
