import type { Host } from "./host.ts";

/** A guest that runs: a QEMU process that libvirt has started. */
export interface RunningGuest {
  readonly pid: number;
  readonly name: string;
  readonly uuid: string;
  /** Paths of the files and devices that it may write as disks. */
  readonly disks: readonly string[];
  /** Suspended: libvirt has given its locks up on purpose. */
  readonly paused: boolean;
}

/** The guests of this libvirt that run, by pid. */
export function readRunningGuests(host: Host): RunningGuest[] {
  const known = knownPids(host);
  return host.list("/proc").filter((name) => /^\d+$/.test(name)).map(Number).sort((a, b) => a - b)
    .flatMap((pid) => {
      const argv = host.read(`/proc/${pid}/cmdline`)?.split("\0") ?? [];
      const program = argv[0]?.split("/").at(-1) ?? "";
      if (!/^(qemu|kvm)/.test(program)) return [];
      const uuid = argumentOf(argv, "-uuid");
      // Without a uuid somebody else has started it, or it is one of another libvirt's.
      if (uuid === undefined || (known !== undefined && !known.has(pid))) return [];
      const name = guestName(argumentOf(argv, "-name") ?? "");
      return [{ pid, name, uuid, disks: diskPaths(argv), paused: isPaused(host, name) }];
    });
}

/**
 * Pids in this libvirt's pid files: of a session's guests the host's daemon knows nothing. Undefined: it has
 * none.
 */
function knownPids(host: Host): Set<number> | undefined {
  if (host.kind(host.places.guests) !== "directory") return undefined;
  const files = host.list(host.places.guests).filter((name) => name.endsWith(".pid"));
  return new Set(files.map((name) => Number(host.read(`${host.places.guests}/${name}`))));
}

function isPaused(host: Host, name: string): boolean {
  const state = host.read(`${host.places.guests}/${name}.xml`) ?? "";
  return /<domstatus\b[^>]*\bstate=(['"])paused\1/.test(state);
}

function argumentOf(argv: readonly string[], option: string): string | undefined {
  const at = argv.indexOf(option);
  return at < 0 ? undefined : argv[at + 1];
}

function guestName(value: string): string {
  return /^guest=((?:[^,]|,,)*)/.exec(value)?.[1]?.replaceAll(",,", ",") ?? value.split(",")[0] ?? "";
}

/** A node of QEMU's block layer. */
interface BlockNode {
  readonly "driver"?: string;
  readonly "filename"?: string;
  readonly "node-name"?: string;
  readonly "read-only"?: boolean;
  readonly "file"?: unknown;
}

/** Disks of a QEMU command line: `-blockdev` with JSON, as libvirt writes it since 5.10, or `-drive`. */
export function diskPaths(argv: readonly string[]): string[] {
  const nodes: BlockNode[] = [];
  const paths: string[] = [];
  argv.forEach((option, index) => {
    const value = argv[index + 1] ?? "";
    if (option === "-blockdev" && value.startsWith("{")) nodes.push(...parseNode(value));
    else if (option === "-drive") paths.push(...drivePath(value));
  });
  for (const storage of nodes) {
    const { driver, filename } = storage;
    if (filename === undefined || (driver !== "file" && driver !== "host_device")) continue;
    const name = storage["node-name"] ?? "";
    // Firmware is a block device to QEMU, but no disk to libvirt.
    if (name.includes("pflash")) continue;
    // The storage may be opened for writing or not as its format asks for.
    const users = nodes.filter((node) => node.file === name);
    const readOnly = users.length > 0
      ? users.every((node) => node["read-only"] === true)
      : storage["read-only"] === true;
    if (!readOnly) paths.push(filename);
  }
  return [...new Set(paths)];
}

function parseNode(json: string): BlockNode[] {
  try {
    return [JSON.parse(json)];
  } catch (error) {
    // Whatever it is, libvirt has not written it.
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

function drivePath(value: string): string[] {
  const fields = new Map(
    value.split(/(?<!,),(?!,)/).map((field) => {
      const at = field.indexOf("=");
      return [field.slice(0, at), field.slice(at + 1).replaceAll(",,", ",")] as const;
    }),
  );
  const path = fields.get("file");
  const isDisk = path?.startsWith("/") === true && fields.get("if") !== "pflash";
  return isDisk && fields.get("readonly") !== "on" && fields.get("media") !== "cdrom" ? [path] : [];
}
