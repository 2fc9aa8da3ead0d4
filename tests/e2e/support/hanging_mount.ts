import { linuxSys } from "../../../src/os/linux.ts";
import { TestProcess } from "../../support/test_process.ts";
import { installMissing } from "./debian_packages.ts";

const SOURCE = new URL("../../support/hangfs.c", import.meta.url).pathname;

/**
 * A FUSE filesystem that shows a directory and stops answering on command: hangfs.c. Needs root and
 * /dev/fuse.
 */
export class HangingMount implements AsyncDisposable {
  /** Where it is mounted. */
  readonly point: string;
  /** The directory it shows, to be looked at whatever the filesystem does. */
  readonly backing: string;
  readonly #process: TestProcess;
  #commands = 0;

  private constructor(point: string, backing: string, process: TestProcess) {
    this.point = point;
    this.backing = backing;
    this.#process = process;
  }

  /**
   * Mounts one.
   *
   * @param directory of the caller's, who removes it afterwards
   * @param name of the mount point in it
   * @param locks who keeps locks: the kernel, or the filesystem itself, which does so until they are unlocked
   * @param user who mounts it, and is then the only one that it serves, with the group of the same number
   */
  static async mount(
    directory: string,
    name: string,
    locks: "kernel" | "filesystem" = "kernel",
    user = 0,
  ): Promise<HangingMount> {
    const program = await compileHangfs(directory);
    const point = `${directory}/${name}`;
    const backing = `${directory}/${name}.backing`;
    for (const path of [point, backing]) Deno.mkdirSync(path);
    const command = [program, backing, point, locks === "filesystem" ? "locks" : "kernel"];
    if (user !== 0) command.push(String(user));
    if (user !== 0) {
      Deno.chmodSync(directory, 0o711);
      for (const path of [point, backing]) Deno.chownSync(path, user, user);
    }
    const process = new TestProcess(command, Deno.env.toObject(), "/", "piped");
    const mount = new HangingMount(point, backing, process);
    try {
      await process.stdout.match(/^mounted$/m);
      return mount;
    } catch (error) {
      await mount[Symbol.asyncDispose]();
      throw new Error(`Mount ${point}: ${process.stderr.text}`, { cause: error });
    }
  }

  /** From now on these operations wait; all of them without a name. */
  async hang(...operations: string[]): Promise<void> {
    await this.#command(`hang ${operations.join(",") || "all"}`);
  }

  /** From now on so many bytes are written in a second at most. */
  async slow(bytes: number): Promise<void> {
    await this.#command(`slow ${bytes}`);
  }

  /** Lets everything go on. */
  async goOn(): Promise<void> {
    await this.#command("go");
  }

  /**
   * Lets everything go on when it is disposed of. To be had behind the daemon, which is disposed of after it
   * then: while files are open there it cannot even be killed.
   */
  ending(): AsyncDisposable {
    return { [Symbol.asyncDispose]: () => this.goOn() };
  }

  /** Waits until an operation has begun to hang, `count` times in all. */
  async untilHung(operation: string, count = 1): Promise<void> {
    await this.#process.stdout.match(new RegExp(`(^hung ${operation}$[^]*?){${count}}`, "m"));
  }

  async #command(text: string): Promise<void> {
    await this.#process.send(`${text}\n`);
    await this.#process.stdout.match(new RegExp(`(^ok$[^]*?){${++this.#commands}}`, "m"));
  }

  /** With its process every operation that hangs ends too. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
    const mounted = Deno.readTextFileSync("/proc/self/mountinfo").includes(` ${this.point} `);
    if (mounted) await output("umount", "--lazy", this.point);
  }
}

/** Compiles hangfs.c; only once for a directory. @returns path of the program */
export async function compileHangfs(directory: string): Promise<string> {
  const program = `${directory}/hangfs`;
  if (linuxSys().access(program, 1) === 0) return program;
  await installMissing(["gcc", "libc6-dev", "pkg-config", "fuse3", "libfuse3-dev"]);
  const flags = (await output("pkg-config", "--cflags", "--libs", "fuse3")).trim().split(/\s+/);
  await output("gcc", "-Wall", "-Wextra", "-Werror", "-O1", "-o", program, SOURCE, ...flags);
  return program;
}

async function output(program: string, ...args: string[]): Promise<string> {
  const result = await new Deno.Command(program, { args }).output();
  if (result.success) return new TextDecoder().decode(result.stdout);
  throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(result.stderr)}`);
}
