import { O_CLOEXEC, O_CREAT, O_WRONLY } from "../../src/os/constants.ts";
import { ENOSPC } from "../../src/os/errno.ts";
import { kernel } from "./kernel.ts";
import { Place } from "./place.ts";

const PAGE = 4096;
const SET_UP_MS = 20_000;

/**
 * A place whose run directory is a small tmpfs of its own, which only its processes see: in a mount namespace
 * that ends with them. Needs root. Dispose of the place before.
 */
export class SmallRun implements Disposable {
  readonly place: Place;
  readonly #keeper: Deno.ChildProcess;
  readonly #ballast: number;

  /** @param size in bytes */
  constructor(size: number) {
    this.#keeper = new Deno.Command("unshare", {
      args: ["--mount", "--propagation", "private", "--", "cat"],
      // The end of the test is the end of cat.
      stdin: "piped",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    const { pid } = this.#keeper;
    const end = performance.now() + SET_UP_MS;
    while (Deno.readTextFileSync(`/proc/${pid}/comm`).trim() !== "cat") {
      if (performance.now() > end) throw new Error(`Make a mount namespace: not within ${SET_UP_MS} ms`);
    }
    const enter = ["nsenter", `--mount=/proc/${pid}/ns/mnt`, "--"];
    this.place = Place.createShared(enter);
    const run = `${this.place.directory}/run`;
    const [file = "", ...args] = [
      ...enter,
      "mount",
      "-t",
      "tmpfs",
      "-o",
      `size=${size},mode=700`,
      "run",
      run,
    ];
    const { success, stderr } = new Deno.Command(file, { args }).outputSync();
    if (!success) throw new Error(`Mount ${run}: ${new TextDecoder().decode(stderr)}`);
    this.#ballast = kernel.open(this.seen(`${run}/ballast`), O_WRONLY | O_CREAT | O_CLOEXEC, 0o600);
    if (this.#ballast < 0) throw new Error(`Make ballast: errno ${-this.#ballast}`);
  }

  /** A path of its processes, as others see it. */
  seen(path: string): string {
    return `/proc/${this.#keeper.pid}/root${path}`;
  }

  /** Names of the files in the journal's directory. */
  get journalFiles(): string[] {
    return [...Deno.readDirSync(this.seen(this.place.paths.journalDir))].map(({ name }) => name).toSorted();
  }

  /** Fills it up. @param left so many pages stay free */
  fill(left: number): void {
    kernel.ftruncate(this.#ballast, 0);
    let size = 0;
    for (const bytes of [new Uint8Array(64 * PAGE), new Uint8Array(PAGE)]) {
      for (;;) {
        const written = kernel.pwrite(this.#ballast, bytes, size);
        if (written === -ENOSPC) break;
        if (written < 0) throw new Error(`Write ballast: errno ${-written}`);
        size += written;
      }
    }
    kernel.ftruncate(this.#ballast, size - left * PAGE);
  }

  /** Makes room again. */
  empty(): void {
    kernel.ftruncate(this.#ballast, 0);
  }

  [Symbol.dispose](): void {
    kernel.close(this.#ballast);
    this.#keeper.kill("SIGKILL");
  }
}
