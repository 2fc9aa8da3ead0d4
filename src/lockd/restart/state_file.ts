import { O_NOFOLLOW } from "../../os/constants.ts";
import { ELOOP, ENOENT, ENOTDIR } from "../../os/errno.ts";
import { SystemError } from "../../os/system_error.ts";
import { writeWhole } from "../../os/write_whole.ts";
import type { FileSys } from "../../os/sys.ts";
import { decodeText } from "../../os/text.ts";
import { RestartStateError } from "./restart_state_error.ts";
import { readState } from "./read_state.ts";
import type { RestartState } from "./state.ts";
import { readWhole } from "../../os/read_file.ts";
import { ExitCode, StartError } from "../../chassis/start/start_error.ts";

/** What lay in the place of a restart state. */
export type TakenState =
  | { kind: "state"; state: RestartState }
  | { kind: "stale"; magic: string }
  | { kind: "link" };

/** The file through which one image of the daemon hands its state to the next. docs/restart-state.md. */
export class StateFile {
  readonly #sys: FileSys;
  readonly path: string;
  #bytesTaken = 0;

  constructor(sys: FileSys, path: string) {
    this.#sys = sys;
    this.path = path;
  }

  /** Size of the document that {@link take} read, 0 when there was none. */
  get bytesTaken(): number {
    return this.#bytesTaken;
  }

  /**
   * Writes a document, whole or not at all.
   *
   * @param path where to, {@link path} for the next image
   * @throws SystemError when it cannot be written; nothing is left behind then
   */
  saveAs(path: string, bytes: Uint8Array): void {
    writeWhole(this.#sys, path, bytes);
  }

  /** Removes the file; harmless when there is none. */
  remove(): void {
    this.#sys.unlink(this.path);
  }

  /** Whether it holds a state of the process `pid`. */
  isFor(pid: number): boolean {
    const bytes = this.#read();
    if (bytes === undefined || bytes === "link") return false;
    const magic = [...decodeText(bytes).matchAll(/"magic"\s*:\s*"(\d+)"/g)].at(-1);
    return magic?.[1] === String(pid);
  }

  /**
   * Reads and unlinks the file.
   *
   * @param pid our own: a state of another process is left alone by unlinking it
   * @returns undefined when there is no state; `stale` names the process that a foreign one was meant for;
   *   `link`: what lay there was a symbolic link, which is gone now and was not followed
   * @throws StartError when it is ours and cannot be understood: nothing may silently start empty
   */
  take(pid: number): TakenState | undefined {
    const bytes = this.#read();
    if (bytes === undefined) return undefined;
    this.remove();
    if (bytes === "link") return { kind: "link" };
    this.#bytesTaken = bytes.length;
    try {
      return readState(bytes, pid);
    } catch (error) {
      if (!(error instanceof RestartStateError)) throw error;
      throw new StartError(ExitCode.INITIALISATION, `Load restart state ${this.path}: ${error.message}`, {
        cause: error,
      });
    }
  }

  /** What lies there. No daemon writes its state through a symbolic link, so none is read through one. */
  #read(): Uint8Array | "link" | undefined {
    try {
      return readWhole(this.#sys, this.path, O_NOFOLLOW);
    } catch (error) {
      // Without a run directory there is no state; making the directory says why it cannot be.
      if (error instanceof SystemError && [ENOENT, ENOTDIR].includes(error.errno)) return undefined;
      if (error instanceof SystemError && error.errno === ELOOP) return "link";
      if (error instanceof SystemError) {
        throw new StartError(ExitCode.INITIALISATION, `Read restart state: ${error.message}`, {
          cause: error,
        });
      }
      throw error;
    }
  }
}
