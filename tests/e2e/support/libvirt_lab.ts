import { runOk } from "./command.ts";
import { installMissing, LIBVIRT_PACKAGES } from "./debian_packages.ts";
import { Libvirt, type LockOptions } from "./libvirt.ts";
import { pidIn } from "./pid_file.ts";
import { PrivateHost } from "./private_host.ts";
import { until } from "../../support/until.ts";

/** libvirt's own daemon, the reference. */
export const REFERENCE_DAEMON = "/usr/sbin/virtlockd";

/** This daemon as `deno task build` leaves it. */
export const OUR_DAEMON: string = new URL("../../../virtlockd", import.meta.url).pathname;

const VIRTLOCKD_PID_FILE = "/run/virtlockd.pid";
const LIBVIRTD_PID_FILE = "/run/libvirtd.pid";

/** A real libvirtd with a virtlockd of the test's choice, on a private host. Root only. */
export class LibvirtLab extends Libvirt implements AsyncDisposable {
  readonly #host: PrivateHost;

  private constructor(privateHost: PrivateHost) {
    super(privateHost, privateHost.directory);
    this.#host = privateHost;
  }

  /**
   * Installs what is missing and writes libvirt's configuration; no daemon runs yet.
   *
   * @param storage mount point of a FUSE file system of the test's, which the host has too
   * @throws Error when the private host cannot be made or apt-get fails
   */
  static async create(options: LockOptions = {}, storage?: string): Promise<LibvirtLab> {
    await installMissing([...LIBVIRT_PACKAGES, "python3-minimal"]);
    const lab = new LibvirtLab(await PrivateHost.create(storage));
    try {
      await lab.configure(options);
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** A lab in which virtlockd and libvirtd run. */
  static async start(virtlockd: string, options: LockOptions = {}): Promise<LibvirtLab> {
    const lab = await LibvirtLab.create(options);
    try {
      await lab.startVirtlockd(virtlockd);
      await lab.startLibvirtd();
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Starts a virtlockd in the background, as `-d` does, and waits until it serves.
   *
   * @returns its pid
   */
  async startVirtlockd(executable: string, args: readonly string[] = []): Promise<number> {
    await runOk(this, [executable, "-d", ...args]);
    return await this.virtlockdPid();
  }

  /** What the PID file of the lab's virtlockd holds. */
  async virtlockdPid(): Promise<number> {
    return await pidIn(this.outside(VIRTLOCKD_PID_FILE));
  }

  /** SIGTERM, and waits for its end. */
  async stopVirtlockd(): Promise<void> {
    await this.#stop(await this.virtlockdPid(), "virtlockd");
  }

  /**
   * Starts libvirtd and waits until it answers, and has found the guests again that run: until then a guest
   * that is destroyed ends under it, and it says that there was none.
   */
  async startLibvirtd(): Promise<void> {
    await runOk(this, ["libvirtd", "-d"]);
    await until("libvirtd to answer", () => this.answers());
    const guests = (await this.virsh("list", "--name")).split("\n").filter((name) => name !== "");
    for (const guest of guests) await this.virsh("qemu-monitor-command", guest, "--hmp", "info status");
  }

  /** SIGTERM, and waits for its end; guests run on. */
  async stopLibvirtd(): Promise<void> {
    await this.#stop(await pidIn(this.outside(LIBVIRTD_PID_FILE)), "libvirtd");
  }

  async #stop(pid: number, name: string): Promise<void> {
    Deno.kill(pid, "SIGTERM");
    await this.untilGone(pid, name);
  }

  /** Waits for the end of a process that is no child of the test. */
  async untilGone(pid: number, name: string): Promise<void> {
    await until(`the end of ${name}, pid ${pid}`, async () => !await isAlive(pid));
  }

  /** Ends every daemon and guest of the lab and removes its files. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host[Symbol.asyncDispose]();
  }
}

/** Whether a process is there and no zombie. */
async function isAlive(pid: number): Promise<boolean> {
  try {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) !== "Z";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return false;
    }
    throw error;
  }
}
