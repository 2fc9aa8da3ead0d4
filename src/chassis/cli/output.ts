import { EAGAIN, EPIPE } from "../../os/errno.ts";
import type { EventSys, FileSys } from "../../os/sys.ts";
import { SystemError } from "../../os/system_error.ts";
import { encodeText } from "../../os/text.ts";

/** Wait before writing again into a full pipe that somebody made non-blocking, in ms. */
const FULL_PIPE_PAUSE = 10;

/** Nobody reads the output any more, e.g. because of `| head`: no error, but nothing is left to be done. */
export class OutputClosed extends Error {
  override readonly name = "OutputClosed";
}

/** Where a command writes its results. */
export interface Output {
  /** @throws OutputClosed; SystemError e.g. for a full disk */
  write(text: string): void;
}

/** Writes to a descriptor, which stays the caller's. */
export class DescriptorOutput implements Output {
  readonly #sys: Pick<FileSys, "write"> & Pick<EventSys, "pollReadable">;
  readonly #fd: number;

  constructor(sys: Pick<FileSys, "write"> & Pick<EventSys, "pollReadable">, fd: number) {
    this.#sys = sys;
    this.#fd = fd;
  }

  write(text: string): void {
    const bytes = encodeText(text);
    for (let sent = 0; sent < bytes.length;) {
      const written = this.#sys.write(this.#fd, bytes.subarray(sent));
      if (written === -EPIPE) throw new OutputClosed("Write output: nobody reads it any more");
      if (written === -EAGAIN) this.#sys.pollReadable(-1, FULL_PIPE_PAUSE);
      else if (written < 0) throw new SystemError("write", "standard output", written);
      else sent += written;
    }
  }
}
