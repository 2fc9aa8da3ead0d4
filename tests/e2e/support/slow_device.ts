import { host, runOk } from "./command.ts";

const THROTTLE = "/sys/fs/cgroup/blkio";
/** In bytes per second: nothing lands while a test goes on. The kernel takes 0 for no limit. */
const HELD = 1;
const UNLIMITED = 0;
const PAGE = 4096;

/**
 * Most bytes of a write that is sure to land once the device was given it: it is one request, however it lies
 * in memory. io_uring gives a device what it writes in a way that must not wait (REQ_NOWAIT). What is larger
 * has to be split then, to which it comes only when it is let go: the kernel gives that up, for io_uring to
 * try it another way, which it does not for a process that is gone. Whether it gives the device so much at
 * once, as of 4 MiB, goes by how they lie in memory.
 */
export const SURE_TO_LAND: number = 128 * PAGE;

/**
 * A loop device on which what the processes of one cgroup write does not land before the test lets it, also
 * when they are gone. Needs root and the blkio controller of cgroup v1.
 */
export class SlowDevice implements AsyncDisposable {
  /** E.g. `/dev/loop7`. */
  readonly path: string;
  /** The file behind it, in which a write is to be seen when it has landed. */
  readonly backing: string;
  readonly #group: string;
  /** `major:minor` */
  readonly #numbers: string;
  /** What the group had given before: one that still had a process could not be removed, and counts on. */
  #before = 0;

  private constructor(path: string, backing: string, group: string, numbers: string) {
    this.path = path;
    this.backing = backing;
    this.#group = group;
    this.#numbers = numbers;
  }

  /**
   * Makes one, on which nothing lands yet.
   *
   * @param directory where its file is made; the caller removes it
   */
  static async create(directory: string): Promise<SlowDevice> {
    const backing = `${directory}/slow.img`;
    await runOk(host, ["truncate", "-s", "64M", backing]);
    const path = (await runOk(host, ["losetup", "--find", "--show", backing])).trim();
    const group = `${THROTTLE}/virtlockd-${path.slice("/dev/".length)}`;
    const numbers = (await runOk(host, ["lsblk", "-dno", "MAJ:MIN", path])).trim();
    const device = new SlowDevice(path, backing, group, numbers);
    await Deno.mkdir(group, { recursive: true });
    try {
      const pages = Number(await Deno.readTextFile(`/sys/dev/block/${numbers}/queue/max_segments`));
      if (pages * PAGE < SURE_TO_LAND) throw new Error(`Make ${path} slow: it takes ${pages} pages at once`);
      await device.hold();
      device.#before = await device.given();
      return device;
    } catch (error) {
      await device[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** From now on nothing lands of what slow processes have given to the device. */
  async hold(): Promise<void> {
    await this.#limit(HELD);
  }

  /**
   * Lets it land.
   *
   * @param bytesPerSecond how fast, from now on; at once when not given
   */
  async letGo(bytesPerSecond = UNLIMITED): Promise<void> {
    await this.#limit(bytesPerSecond);
  }

  async #limit(bytesPerSecond: number): Promise<void> {
    const file = `${this.#group}/blkio.throttle.write_bps_device`;
    await Deno.writeTextFile(file, `${this.#numbers} ${bytesPerSecond}`);
  }

  /** From now on a process is a slow one, with all its threads. */
  async slowDown(pid: number): Promise<void> {
    await Deno.writeTextFile(`${this.#group}/cgroup.procs`, String(pid));
  }

  /**
   * How many bytes its slow processes have given to the device since it was made, landed or not. What was
   * given to it lands, if it was at most {@link SURE_TO_LAND}; what was not may be given up with the process.
   */
  async given(): Promise<number> {
    const served = await Deno.readTextFile(`${this.#group}/blkio.throttle.io_service_bytes`);
    const given = Number(new RegExp(`^${this.#numbers} Write (\\d+)$`, "m").exec(served)?.[1] ?? 0);
    return given - this.#before;
  }

  /** Whether a byte of the file behind the device is this one: what is written there has landed. */
  async has(byte: number, offset: number): Promise<boolean> {
    using file = await Deno.open(this.backing);
    await file.seek(offset, Deno.SeekMode.Start);
    const found = new Uint8Array(1);
    return await file.read(found) === 1 && found[0] === byte;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.letGo();
    // A guest's mount namespace may have it a moment longer: it goes when it is closed.
    await host.run(["losetup", "--detach", this.path]);
    await host.run(["sh", "-c", `rmdir ${this.#group} 2>/dev/null`]);
  }
}
