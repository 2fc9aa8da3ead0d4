import { O_CLOEXEC, O_EXCL, O_RDONLY } from "../../os/constants.ts";
import { EBUSY } from "../../os/errno.ts";
import type { StorageSys } from "../../os/storage_sys.ts";
import type { PoolDefinition } from "../model/pool_definition.ts";
import { storageError } from "../model/storage_error.ts";
import type { WorkContext } from "../work/operation.ts";
import { findProgram } from "../work/program_run.ts";
import { programOutput } from "../volumes/errors.ts";
import type { BuildMode } from "./backend.ts";
import { writerOf } from "./open_elsewhere.ts";

/** What a probe of blkid(8) ends with when it has found nothing. */
const NOTHING_FOUND = 2;
/** And when it has found more than one thing. */
const AMBIVALENT = 8;

/** What makes each mkfs write over what is there, after it was made sure that it may. */
const FORCE: Readonly<Record<string, string>> = {
  xfs: "-f",
  ext2: "-F",
  ext3: "-F",
  ext4: "-F",
  vfat: "-I",
};

/**
 * Makes a file system on the device of a pool.
 *
 * @throws RpcFailure, WorkCancelled; a device that holds something that it may not lose was not written to
 */
export function formatDevice(
  context: WorkContext,
  storage: StorageSys,
  { name, source }: PoolDefinition,
  mode: Exclude<BuildMode, "plain">,
): void {
  const device = source.devices[0]?.path;
  const format = source.format ?? "auto";
  if (device === undefined) {
    throw storageError("invalid", `No source device specified when formatting pool '${name}'`);
  }
  if (typeof storage.facts(device) === "number") {
    throw storageError("invalid", `Source device does not exist when formatting pool '${name}'`);
  }
  refuseUsed(context, device);
  if (mode === "no-overwrite") refuseFilled(context, device, format);
  const tool = findProgram(context.sys, "mkfs");
  if (tool === undefined) {
    const failed = `Failed to make filesystem of type '${format}' on device '${device}'`;
    throw storageError("internal", `mkfs is not available on this platform: ${failed}`);
  }
  const force = FORCE[format];
  const args = ["-t", format, ...force === undefined ? [] : [force], device];
  programOutput(context.run({ argv: [tool, ...args] }), [tool, ...args]);
}

/**
 * A device that is mounted, a part of something, or a running guest's disk, is not formatted, not even when
 * that is asked for.
 */
function refuseUsed({ sys }: WorkContext, device: string): void {
  const fd = sys.open(device, O_RDONLY | O_EXCL | O_CLOEXEC, 0);
  if (fd === -EBUSY) throw storageError("invalid", `device '${device}' is in use`);
  if (fd < 0) return;
  const path = sys.readlink(`/proc/self/fd/${fd}`);
  sys.close(fd);
  const writer = typeof path === "string" ? writerOf(sys, path) : undefined;
  if (writer === undefined) return;
  throw storageError("invalid", `device '${device}' is in use: process ${writer} has it open for writing`);
}

/** @throws RpcFailure when the device holds anything that is known, or that cannot be told */
function refuseFilled(context: WorkContext, device: string, format: string): void {
  const end = context.run({ argv: ["blkid", "-p", "-o", "export", device] });
  if (end.kind === "missing") {
    const detail = `Unable to probe '${device}' for existing data, forced overwrite is necessary`;
    throw storageError("invalid", detail);
  }
  if (end.kind === "exited" && end.code === NOTHING_FOUND && end.stdout === "") return;
  if (end.kind !== "exited" || end.code !== 0 && end.code !== AMBIVALENT) {
    throw storageError("probe-failed", `Failed to create filesystem probe for device ${device}`);
  }
  if (end.code === AMBIVALENT) {
    throw storageError("probe-failed", "Found additional probes to run, probing may be incorrect");
  }
  const found = /^(?:TYPE|PTTYPE)=(.*)$/m.exec(end.stdout)?.[1];
  if (found === format) {
    throw storageError("pool-built", `Device '${device}' already formatted using '${format}'`);
  }
  const detail = `Format of device '${device}' does not match the expected format '${format}', ` +
    "forced overwrite is necessary";
  throw storageError("pool-built", detail);
}
