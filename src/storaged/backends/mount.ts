import { unescaped } from "../../os/mountinfo.ts";
import { readFileText } from "../../os/read_file.ts";
import type { Sys } from "../../os/sys.ts";
import type { PoolDefinition } from "../model/pool_definition.ts";
import { storageError } from "../model/storage_error.ts";
import { findProgram, type ProgramRequest } from "../work/program_run.ts";
import type { WorkContext } from "../work/operation.ts";
import { failedCommonCall, programOutput } from "../volumes/errors.ts";
import { mountActivity } from "./mount_activity.ts";
import { directoryOf } from "./pool_directory.ts";

/** Options of every mount: what a guest writes must be no device, no program, and nobody's rights. */
const SAFE_OPTIONS = "nodev,nosuid,noexec";
/** Milliseconds after which a program that mounts, or looks for exports, is given up. */
const MOUNT_LIMIT = 120_000;

/** What is mounted. @throws RpcFailure when the definition says it not exactly once */
export function mountSource({ type, source }: PoolDefinition): string {
  const [host, ...hosts] = source.hosts;
  const [device, ...devices] = source.devices;
  if (type === "netfs") {
    if (host === undefined || hosts.length > 0) {
      throw storageError("unsupported", "expected exactly 1 host for the storage pool");
    }
    if (source.dir === undefined) throw storageError("internal", "missing source path");
    return source.format === "cifs" ? `//${host.name}/${source.dir}` : `${host.name}:${source.dir}`;
  }
  if (device === undefined) throw storageError("internal", "missing source device");
  if (devices.length > 0) {
    throw storageError("unsupported", "expected exactly 1 device for the storage pool");
  }
  return device.path;
}

/** The arguments of mount(8) for a pool. */
export function mountArguments(pool: PoolDefinition): string[] {
  const { type, source, options } = pool;
  const path = directoryOf(pool);
  const own = options?.kind === "mount" ? options.options : [];
  const network = type === "netfs";
  const extra = network && source.format === "glusterfs"
    ? ["direct-io-mode=1"]
    : network && source.format === "cifs"
    ? ["guest"]
    : network && source.protocol !== undefined
    ? [`nfsvers=${source.protocol}`]
    : [];
  const list = ["-o", [SAFE_OPTIONS, ...extra, ...own].join(",")];
  // mount finds out what a network file system is only when it is not told "auto".
  const kind = network && source.format === "auto" ? [] : ["-t", source.format ?? "auto"];
  return [...list, ...kind, mountSource(pool), path];
}

/**
 * Whether a pool's source is mounted at its target. The mount itself is not touched, so a dead one tells too.
 *
 * @throws RpcFailure when the list of mounts cannot be read
 */
export function isMounted(
  sys: Sys,
  same: (one: string, other: string) => boolean,
  pool: PoolDefinition,
): boolean {
  const source = mountSource(pool);
  const path = directoryOf(pool);
  const text = readFileText(sys, "/proc/self/mounts");
  if (text === undefined) throw failedCommonCall("cannot read mount list '/proc/self/mounts'", -2);
  return text.split("\n").some((line) => {
    const [from = "", at = ""] = line.split(" ").map(unescaped);
    return at === path && (from === source || from.replace(/\/$/, "") === source.replace(/\/$/, "") ||
      from.startsWith("/") && source.startsWith("/") && same(from, source));
  });
}

/** Mounts a pool. @throws RpcFailure, WorkCancelled */
export function mountPool(context: WorkContext, pool: PoolDefinition): void {
  runTool(context, "mount", mountArguments(pool));
}

/**
 * Unmounts a pool, however long its file system writes what it has still to write. Of a server that does not
 * answer nothing is heard, and whoever waits for that ends this: nothing is forced, for what a guest or the
 * kernel has still to write would be lost, although the server may come back.
 *
 * @throws RpcFailure, WorkCancelled
 */
export function unmountPool(context: WorkContext, pool: PoolDefinition, purpose?: "undo"): void {
  const path = directoryOf(pool);
  const activity = () => mountActivity(context.sys, path);
  runTool(context, "umount", [path], purpose === undefined ? { activity } : { activity, purpose });
}

/** Runs a tool and takes its output. @throws RpcFailure, WorkCancelled */
export function runTool(
  context: WorkContext,
  name: string,
  args: readonly string[],
  more: Omit<ProgramRequest, "argv"> = { limit: MOUNT_LIMIT },
): string {
  const path = findProgram(context.sys, name) ?? name;
  const end = context.run({ argv: [path, ...args], ...more });
  return programOutput(end, [path, ...args]);
}
