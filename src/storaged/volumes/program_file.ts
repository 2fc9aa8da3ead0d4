import type { VolumeDefinition } from "../model/volume_definition.ts";
import type { OpenPlace } from "./place.ts";

// A file as a program gets it that opens files by their names. Where others may write, a name may lead to
// another file between two looks, so the program gets the file itself, that was opened without following a
// link; elsewhere it gets the directory, for images that name others beside them.

/** What a program is told, and what it needs for that. */
export interface ProgramFile {
  readonly path: string;
  /** Has to be the program's descriptor of the number that was asked for. */
  readonly descriptor: number;
}

/**
 * A volume for a program.
 *
 * @param fd the open file
 * @param number what the program has as its descriptor
 */
export function programFile(
  { fd: directory, links }: OpenPlace,
  fd: number,
  name: string,
  number: number,
): ProgramFile {
  return links === "refused"
    ? { path: `/proc/self/fd/${number}`, descriptor: fd }
    : { path: `/proc/self/fd/${number}/${name}`, descriptor: directory };
}

/** Whether an image has to be told what it stands on: it cannot find that from where the program has it. */
export function needsBacking({ links }: OpenPlace, { backing }: Pick<VolumeDefinition, "backing">): boolean {
  return links === "refused" && backing !== undefined;
}
