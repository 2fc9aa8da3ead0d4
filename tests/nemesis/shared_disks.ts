import { host, runOk } from "../e2e/support/command.ts";
import { installMissing } from "../e2e/support/debian_packages.ts";
import { LineProcess } from "./line_process.ts";

const PROGRAMS = new URL("./programs", import.meta.url).pathname;
const DISK_SIZE = 1 << 20;
const THROTTLE = "/sys/fs/cgroup/blkio";
/** A slow writer's last writes, 16 of 4 KiB on each disk, land 1.4 s after it was killed. */
const SLOW_BYTES_PER_SECOND = 48 * 1024;
/** Nothing arrives while a test goes on; the kernel takes 0 for no limit. */
const HELD = 1;
const UNLIMITED = 0;

/** A write that arrived behind one of a newer holder. */
export interface LateWrite {
  readonly disk: number;
  readonly older: number;
  readonly newer: number;
  /** Number of the write, of the older holder's. */
  readonly write: number;
}

/**
 * Disks that several hosts reach, each with a block device of its own for each disk: loop devices over the
 * files of a FUSE file system (programs/lun.c), which sees in which order writes arrive and whose they are.
 * It knows nothing of locks. Needs root, /dev/fuse and cgroup v1's blkio controller.
 */
export class SharedDisks implements AsyncDisposable {
  /** The program that writes, as a guest does: programs/writer.c. */
  readonly writer: string;
  readonly #process: LineProcess;
  readonly #point: string;
  /** Devices of each host, by the number of the disk. */
  readonly #devices: readonly (readonly string[])[];
  readonly #group: string;
  /** `major:minor` of each device. */
  readonly #numbers: string[] = [];

  private constructor(
    writer: string,
    process: LineProcess,
    point: string,
    devices: readonly (readonly string[])[],
    group: string,
  ) {
    this.writer = writer;
    this.#process = process;
    this.#point = point;
    this.#devices = devices;
    this.#group = group;
  }

  /**
   * Makes some.
   *
   * @param directory of the caller's, who removes it afterwards
   * @param late called with each write that comes too late
   */
  static async create(
    directory: string,
    { disks, hosts }: { disks: number; hosts: number },
    late: (write: LateWrite) => void,
  ): Promise<SharedDisks> {
    await installMissing(["gcc", "libc6-dev", "pkg-config", "fuse3", "libfuse3-dev"]);
    const flags = (await runOk(host, ["pkg-config", "--cflags", "--libs", "fuse3"])).trim().split(/\s+/);
    // Its name begins as QEMU's does: the daemon knows QEMU, and asks for its lock, by that.
    const writer = `${directory}/qemu-writer`;
    await compile(`${PROGRAMS}/writer.c`, writer);
    await compile(`${PROGRAMS}/lun.c`, `${directory}/lun`, flags);
    const point = `${directory}/luns`;
    await Deno.mkdir(point);
    const command = [`${directory}/lun`, point, String(disks), String(DISK_SIZE)];
    const mounted = Promise.withResolvers<void>();
    const process = new LineProcess(command, Deno.env.toObject(), (line) => {
      if (line === "mounted") mounted.resolve();
      const write = lateWrite(line);
      if (write !== undefined) late(write);
      return !line.startsWith("blocks ");
    });
    const ended = process.ended.then((said) => {
      throw new Error(`Mount ${point}: ${said}`);
    });
    await Promise.race([mounted.promise, ended]);
    ended.catch(() => {});
    const devices: string[][] = [];
    const group = `${THROTTLE}/virtlockd-nemesis-${process.pid}`;
    const shared = new SharedDisks(writer, process, point, devices, group);
    try {
      await Deno.mkdir(group);
      for (let number = 0; number < hosts; number++) {
        const own: string[] = [];
        devices.push(own);
        for (let disk = 0; disk < disks; disk++) {
          const device = await runOk(host, ["losetup", "--find", "--show", `${point}/disk${disk}`]);
          own.push(device.trim());
          const numbers = (await runOk(host, ["lsblk", "-dno", "MAJ:MIN", device.trim()])).trim();
          shared.#numbers.push(numbers);
        }
      }
      await shared.#limit(SLOW_BYTES_PER_SECOND);
      return shared;
    } catch (error) {
      await shared[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A host's device of a disk. */
  device(hostNumber: number, disk: number): string {
    const device = this.#devices[hostNumber]?.[disk];
    if (device === undefined) throw new Error(`Host ${hostNumber} has no disk ${disk}`);
    return device;
  }

  /** From now on a process writes slowly: what it has given to the kernel lands seconds later. */
  async slowDown(pid: number): Promise<void> {
    await Deno.writeTextFile(`${this.#group}/cgroup.procs`, String(pid));
  }

  /** From now on nothing arrives of what slow processes have given to the kernel. */
  async hold(): Promise<void> {
    await this.#limit(HELD);
  }

  /** It arrives, all at once. */
  async letGo(): Promise<void> {
    await this.#limit(UNLIMITED);
  }

  async #limit(bytesPerSecond: number): Promise<void> {
    for (const numbers of this.#numbers) {
      await Deno.writeTextFile(
        `${this.#group}/blkio.throttle.write_bps_device`,
        `${numbers} ${bytesPerSecond}`,
      );
    }
  }

  /** How many blocks have arrived whose writer is known. */
  async blocks(): Promise<number> {
    return Number((await this.#process.ask("count")).slice("blocks ".length));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.letGo();
    for (const device of this.#devices.flat()) await host.run(["losetup", "--detach", device]);
    await this.#process.kill();
    const mounted = (await Deno.readTextFile("/proc/self/mountinfo")).includes(` ${this.#point} `);
    if (mounted) await host.run(["umount", "--lazy", this.#point]);
    await host.run(["sh", "-c", `rmdir ${this.#group} 2>/dev/null`]);
  }
}

/** Reads a line of the witness; undefined when it does not tell of a violation. */
function lateWrite(line: string): LateWrite | undefined {
  const [, disk, older, newer, write] = /^violation (\d+) (\d+) (\d+) (\d+)$/.exec(line) ?? [];
  return disk === undefined
    ? undefined
    : { disk: Number(disk), older: Number(older), newer: Number(newer), write: Number(write) };
}

async function compile(source: string, program: string, flags: readonly string[] = []): Promise<void> {
  await runOk(host, ["gcc", "-Wall", "-Wextra", "-Werror", "-O1", "-o", program, source, ...flags]);
}
