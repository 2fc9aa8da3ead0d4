import { O_CLOEXEC, O_DIRECTORY, O_NOFOLLOW, O_RDONLY } from "../../os/constants.ts";
import { ENAMETOOLONG, ENOENT } from "../../os/errno.ts";
import type { StorageSys } from "../../os/storage_sys.ts";
import type { Sys } from "../../os/sys.ts";
import { storageError } from "../model/storage_error.ts";
import type { VolumeDefinition } from "../model/volume_definition.ts";
import type { WorkContext } from "../work/operation.ts";
import { findProgram } from "../work/program_run.ts";
import { failedCall, programOutput, succeeded } from "./errors.ts";
import { refuseForeignParts } from "./image_parts.ts";
import { NewFile, targetExists } from "./new_file.ts";
import { openFile, type OpenPlace, setAccess } from "./place.ts";
import { needsBacking, programFile } from "./program_file.ts";
import { createCommands, imageToolLimits } from "./qemu_img.ts";
import { checkRaw, fillRaw } from "./raw_volume.ts";
import { syncFile } from "./sync_file.ts";
import { VolumeReader } from "./volume_reader.ts";

/** Mode of a volume whose definition says none. */
const VOLUME_MODE = 0o600;
/** Numbers of descriptors in a program: of what it makes, and of what it reads. */
const PROGRAM_OUTPUT = 3;
const PROGRAM_INPUT = 4;

/** A volume that is to be made. */
export interface CreateRequest {
  /** With its name and the path that people will know it by. */
  readonly volume: VolumeDefinition;
  /** Name that it has until it is whole. */
  readonly reserved: string;
  readonly input: VolumeDefinition | undefined;
  readonly preallocateMetadata: boolean;
  readonly reflink: boolean;
}

/**
 * Makes a volume: under a reserved name, and under its own when it is whole.
 *
 * @param from the place of the volume that it is made from
 * @returns the volume as it is then
 * @throws RpcFailure, WorkCancelled; nothing of it is left then
 */
export function createVolume(
  context: WorkContext,
  storage: StorageSys,
  place: OpenPlace,
  request: CreateRequest,
  from: OpenPlace | undefined,
): VolumeDefinition {
  const { sys } = context;
  const { volume, input } = request;
  const shown = `${place.path}/${volume.name}`;
  const taken = storage.linkFacts(place.base + volume.name);
  if (taken === -ENAMETOOLONG) throw failedCall(`Failed to create file '${shown}'`, taken);
  if (typeof taken !== "number") throw targetExists(shown);
  if (taken !== -ENOENT) throw failedCall(`cannot stat file '${shown}'`, taken);
  if (volume.encryption !== undefined || input?.encryption !== undefined) {
    const detail = "encrypted volumes cannot be made: this daemon does not read secrets";
    throw storageError("no-support", detail);
  }
  if (volume.format === "ploop" || input?.format === "ploop") {
    throw storageError("no-support", "ploop volumes are not supported by this daemon");
  }
  if (volume.format === "dir") createDirectory(sys, storage, place, shown, request);
  else createFile(context, storage, place, shown, request, from);
  return new VolumeReader(sys, storage).update(place, volume, volume.name);
}

function createDirectory(
  sys: Sys,
  storage: StorageSys,
  place: OpenPlace,
  shown: string,
  { volume, input }: CreateRequest,
): void {
  if (input !== undefined) {
    throw storageError("internal", "cannot copy from volume to a directory volume");
  }
  if (volume.backing !== undefined) {
    throw storageError("no-support", "backing storage not supported for directories volumes");
  }
  succeeded(sys.mkdir(place.base + volume.name, 0o700), `failed to create directory '${shown}'`);
  const fd = sys.open(place.base + volume.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
  try {
    succeeded(fd, `cannot open directory '${shown}'`);
    setAccess(sys, storage, fd, shown, accessOf(volume));
  } catch (error) {
    storage.removeDirectory(place.base + volume.name);
    throw error;
  } finally {
    if (fd >= 0) sys.close(fd);
  }
}

function accessOf({ permissions: { owner, group, mode = VOLUME_MODE } }: VolumeDefinition) {
  return { owner, group, mode };
}

/** Whether the file is copied or allocated here, and not by qemu-img. */
function isRaw({ format, encryption }: VolumeDefinition): boolean {
  return (format === "raw" || format === undefined) && encryption === undefined;
}

function createFile(
  context: WorkContext,
  storage: StorageSys,
  place: OpenPlace,
  shown: string,
  request: CreateRequest,
  from: OpenPlace | undefined,
): void {
  const { sys } = context;
  const { volume, input, reserved } = request;
  const raw = isRaw(volume) && (input === undefined || isRaw(input));
  if (raw) checkRaw(volume, request.preallocateMetadata);
  const file = new NewFile(sys, storage, place, reserved, shown);
  try {
    if (raw) fillFile(context, storage, file.fd, shown, request, from);
    else runImageTool(context, storage, place, file, shown, request, from);
    setAccess(sys, storage, file.fd, shown, accessOf(volume));
  } catch (error) {
    file.discard();
    throw error;
  }
  file.publish(volume.name);
}

function fillFile(
  context: WorkContext,
  storage: StorageSys,
  fd: number,
  shown: string,
  { volume, input, reflink }: CreateRequest,
  from: OpenPlace | undefined,
): void {
  const { sys } = context;
  if (input === undefined || from === undefined) {
    return fillRaw(sys, storage, fd, shown, { volume, input: undefined, reflink: false }, context);
  }
  const path = `${from.path}/${input.name}`;
  const source = openInput(sys, from, input.name);
  try {
    const found = { fd: source, path, capacity: input.capacity };
    fillRaw(sys, storage, fd, shown, { volume, input: found, reflink }, context);
  } finally {
    sys.close(source);
  }
}

/** @returns a descriptor, the caller's @throws RpcFailure */
function openInput(sys: Pick<Sys, "open">, from: OpenPlace, name: string): number {
  return succeeded(openFile(sys, from, name, O_RDONLY), `could not open input path '${from.path}/${name}'`);
}

function runImageTool(
  context: WorkContext,
  storage: StorageSys,
  place: OpenPlace,
  file: NewFile,
  shown: string,
  { volume, input, reserved, preallocateMetadata }: CreateRequest,
  from: OpenPlace | undefined,
): void {
  const { sys } = context;
  const tool = findProgram(sys, "qemu-img");
  if (tool === undefined) {
    throw storageError("internal", "creation of non-raw file images is not supported without qemu-img.");
  }
  const target = programFile(place, file.fd, reserved, PROGRAM_OUTPUT);
  if (input === undefined || from === undefined) {
    const backingUnseen = checkBacking(sys, place, volume) === "unseen";
    const made = { ...volume, path: target.path };
    const request = { volume: made, input: undefined, preallocateMetadata, backingUnseen };
    runCommands(context, volume, createCommands({ ...request, secretFile: undefined }), {
      tool,
      descriptors: [target.descriptor],
      named: (text) => text.replaceAll(target.path, shown),
    });
  } else {
    const fd = openInput(sys, from, input.name);
    try {
      const source = programFile(from, fd, input.name, PROGRAM_INPUT);
      const found = new VolumeReader(sys, storage).readOpen(from, input.name, fd) ?? input;
      refuseForeignParts(found, "copied");
      const original = { ...input, path: source.path, backing: found.backing };
      const commands = createCommands({
        volume: { ...volume, path: target.path },
        input: { volume: original, secretFile: undefined, backingSaid: needsBacking(from, found) },
        secretFile: undefined,
        preallocateMetadata,
      });
      runCommands(context, volume, commands, {
        tool,
        descriptors: [target.descriptor, source.descriptor],
        named: (text) =>
          text.replaceAll(source.path, `${from.path}/${input.name}`).replaceAll(target.path, shown),
      });
    } finally {
      sys.close(fd);
    }
  }
  if (!file.same) throw storageError("internal", `'${shown}' was replaced while it was made`);
  syncFile(sys, storage, file.fd, shown, context);
  storage.syncData(place.fd);
}

/** With what commands are run. */
interface CommandRun {
  readonly tool: string;
  /** From 3 on. */
  readonly descriptors: readonly number[];
  /** What people see names the volumes, not how a program reaches them. */
  readonly named: (text: string) => string;
}

function runCommands(
  context: WorkContext,
  volume: VolumeDefinition,
  commands: readonly (readonly string[])[],
  { tool, descriptors, named }: CommandRun,
): void {
  for (const command of commands) {
    const [verb = "", ...rest] = command;
    const end = context.run({
      argv: [tool, verb, ...verb === "convert" ? ["-p"] : [], ...rest],
      descriptors,
      limits: imageToolLimits(volume),
      output: (text) => tellProgress(text, volume, context),
    });
    const told = end.kind === "exited" || end.kind === "killed" ? { ...end, stderr: named(end.stderr) } : end;
    programOutput(told, [tool, ...command.map(named)]);
  }
}

/** qemu-img shows how far it is as `(12.50/100%)`. */
function tellProgress(text: string, { capacity }: VolumeDefinition, context: WorkContext): void {
  const shown = [...text.matchAll(/\((\d+(?:\.\d+)?)\/100%\)/g)].at(-1);
  if (shown === undefined) return;
  const total = Number(capacity);
  context.progress(Math.round(total * Number(shown[1]) / 100), total);
}

/**
 * @returns whether qemu-img finds what a new image is to stand on, from where it makes the image
 * @throws RpcFailure when that cannot be read
 */
function checkBacking(
  sys: Sys,
  place: OpenPlace,
  { backing, capacity }: VolumeDefinition,
): "seen" | "unseen" {
  if (backing === undefined) return "seen";
  const unseen = place.links === "refused" && !backing.path.startsWith("/");
  if (unseen && capacity === 0n) {
    const detail = `others may write into '${place.path}': with a backing store that has no whole path, ` +
      `${backing.path}, the capacity must be said`;
    throw storageError("unsupported", detail);
  }
  const path = backing.path.startsWith("/") ? backing.path : place.base + backing.path;
  const readable = sys.access(path, 4);
  succeeded(readable, `inaccessible backing store volume ${backing.path}`);
  return unseen ? "unseen" : "seen";
}
