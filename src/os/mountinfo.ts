/** A line of /proc/PID/mountinfo. */
export interface MountLine {
  readonly id: number;
  readonly parent: number;
  readonly devMajor: number;
  readonly devMinor: number;
  /** Path in the file system that is seen at {@link point}. */
  readonly root: string;
  readonly point: string;
  /** E.g. `nfs4`. */
  readonly type: string;
  /** What is mounted, e.g. `server:/export`. */
  readonly source: string;
  /** Of the file system, not of this mount of it. */
  readonly options: readonly string[];
}

/**
 * Reads the text of /proc/PID/mountinfo, later mounts behind those that they cover. A line that is not
 * understood is left out: a newer kernel may know more. proc_pid_mountinfo(5).
 */
export function parseMountinfo(text: string): MountLine[] {
  const mounts: MountLine[] = [];
  for (const line of text.split("\n")) {
    const fields = line.split(" ");
    // ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [OPTIONAL ...] - TYPE SOURCE OPTIONS
    const dash = fields.indexOf("-", 6);
    if (dash < 0) continue;
    const [id, parent, device = "", root = "", point = ""] = fields;
    const [major, minor] = device.split(":");
    const [type = "", source = "", options = ""] = fields.slice(dash + 1);
    mounts.push({
      id: Number(id),
      parent: Number(parent),
      devMajor: Number(major),
      devMinor: Number(minor),
      root: unescaped(root),
      point: unescaped(point),
      type: unescaped(type),
      source: unescaped(source),
      options: options.split(","),
    });
  }
  return mounts;
}

/** Space, tab, newline, backslash and `#` are written as three octal digits in lists of mounts. */
export function unescaped(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}
