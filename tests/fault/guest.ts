import { SIGKILL } from "../../src/os/constants.ts";
import { must } from "../../src/os/system_error.ts";
import { kernel } from "../support/kernel.ts";

/** The process of a guest that has no connection of its own: a real one, of which the real kernel tells. */
export class Guest {
  readonly pid: number;

  constructor() {
    const argv = ["sleep", "1000"];
    const spawned = kernel.spawn({
      path: "/bin/sleep",
      argv,
      env: [],
      descriptors: [],
      blockedSignals: [],
      newSession: false,
    });
    this.pid = must(spawned, "posix_spawn", "/bin/sleep");
  }

  /** It is killed. */
  end(): void {
    kernel.kill(this.pid, SIGKILL);
    kernel.waitChild(this.pid, true, new Int32Array(1));
  }
}
