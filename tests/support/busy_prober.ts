import { O_CLOEXEC, O_CREAT, O_RDWR } from "../../src/os/constants.ts";
import { must } from "../../src/os/system_error.ts";
import { kernel } from "./kernel.ts";
import { until } from "./until.ts";
import { testProgram } from "./programs.ts";

const MAIN = testProgram(new URL("./busy_prober_main.ts", import.meta.url));
const COUNTS_SIZE = 8;

/** A process that asks for a write lock on byte 0 of a file as often as it can. Disposing of it kills it. */
export class BusyProber implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #words: Uint32Array;
  readonly #counts: string;

  private constructor(path: string, kind: "ofd" | "posix") {
    this.#counts = Deno.makeTempFileSync({ prefix: "virtlockd-prober-" });
    Deno.writeFileSync(this.#counts, new Uint8Array(COUNTS_SIZE));
    const fd = must(kernel.open(this.#counts, O_RDWR | O_CREAT | O_CLOEXEC, 0o600), "open", this.#counts);
    const mapping = kernel.map(fd, COUNTS_SIZE);
    kernel.close(fd);
    if (typeof mapping === "number") throw new Error(`Map ${this.#counts}: errno ${-mapping}`);
    this.#words = new Uint32Array(mapping.bytes.buffer, mapping.bytes.byteOffset, 2);
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", MAIN, path, kind, this.#counts],
      stdin: "null",
    }).spawn();
  }

  /** Starts one, which has a lock of this kind if it gets one, and waits until it probes. */
  static async start(path: string, kind: "ofd" | "posix"): Promise<BusyProber> {
    const prober = new BusyProber(path, kind);
    await until("the first probe", () => prober.tries > 0);
    return prober;
  }

  /** How often it has asked. */
  get tries(): number {
    return Atomics.load(this.#words, 0);
  }

  /** How often it got the lock. */
  get grants(): number {
    return Atomics.load(this.#words, 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.status;
    Deno.removeSync(this.#counts);
  }
}
