import { TestProcess } from "../support/test_process.ts";
import { until } from "../support/until.ts";
import { GuestAgent } from "./guest_agent.ts";
import { JsonLines } from "./json_lines.ts";

const MINUTE = 60_000;
/** How long a machine may take to start, and a program in it to end, in ms. */
const PATIENCE = 10 * MINUTE;

/** What a machine is made of. */
export interface MachineParts {
  /** Its own disk, which it keeps. */
  readonly disk: string;
  /** Kernel and initial file system: files beside this path. */
  readonly kernel: string;
  /** What its firmware tells of it. */
  readonly uuid: string;
  readonly serial: string;
}

/**
 * A virtual machine that is looked at from outside, by an agent in it, and that can be reset: with QEMU alone
 * (emulation, no KVM). It reaches what listens on this host's 127.0.0.1 at 10.0.2.2.
 */
export class LastingMachine implements AsyncDisposable {
  readonly #directory: string;
  readonly #process: TestProcess;
  readonly #agent: GuestAgent;
  readonly #monitor: JsonLines;

  private constructor(directory: string, process: TestProcess, agent: GuestAgent, monitor: JsonLines) {
    this.#directory = directory;
    this.#process = process;
    this.#agent = agent;
    this.#monitor = monitor;
  }

  /** Switches one on. It has not started then. */
  static async start({ disk, kernel, uuid, serial }: MachineParts): Promise<LastingMachine> {
    const directory = await Deno.makeTempDir({ dir: "/var/tmp", prefix: "virtlockd-machine-" });
    const socket = (name: string) => `path=${directory}/${name},server=on,wait=off`;
    const process = new TestProcess(
      [
        "qemu-system-x86_64",
        ...["-machine", "q35,accel=tcg", "-cpu", "max", "-smp", "2", "-m", "1024"],
        ...["-display", "none", "-nodefaults", "-serial", `file:${directory}/console`],
        ...["-kernel", `${kernel}.vmlinuz`, "-initrd", `${kernel}.initrd`],
        ...["-append", "root=/dev/vda rw console=ttyS0 quiet panic=-1"],
        ...["-drive", `file=${disk},if=virtio,format=raw,cache=writeback`],
        ...["-uuid", uuid, "-smbios", `type=1,serial=${serial}`, "-smbios", `type=2,serial=${serial}-board`],
        ...["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,id=card"],
        ...["-device", "virtio-serial-pci", "-chardev", `socket,id=agent,${socket("agent")}`],
        ...["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"],
        ...["-chardev", `socket,id=monitor,${socket("monitor")}`, "-mon", "chardev=monitor,mode=control"],
      ],
      { PATH: "/usr/bin:/bin" },
      directory,
    );
    try {
      const connected = <T>(name: string, connect: (path: string) => Promise<T>) =>
        until(`QEMU's ${name}`, () => connect(`${directory}/${name}`).catch(() => undefined), MINUTE, 100);
      const monitor = await connected("monitor", JsonLines.connect);
      const agent = await connected("agent", GuestAgent.connect);
      const machine = new LastingMachine(directory, process, agent, monitor);
      await machine.#order("qmp_capabilities");
      return machine;
    } catch (error) {
      await process.kill();
      throw new Error(`Switch on a machine: ${process.stderr.text}`, { cause: error });
    }
  }

  /**
   * Runs a shell script in it, when it has started.
   *
   * @returns its standard output
   * @throws Error when it fails
   */
  async sh(script: string): Promise<string> {
    const { code, out, err } = await this.#agent.run(script, PATIENCE);
    if (code === 0) return out;
    throw new Error(`Run in a machine: ${script}\nexit code ${code}\n${out}${err}`);
  }

  /** As its button for that: nothing in it is asked before. */
  async reset(): Promise<void> {
    await this.#order("system_reset");
  }

  /** It stands still, with everything in it. */
  async pause(): Promise<void> {
    await this.#order("stop");
  }

  async resume(): Promise<void> {
    await this.#order("cont");
  }

  /** Takes the cable out of its network card, or puts it in again. */
  async cable(isIn: boolean): Promise<void> {
    await this.#order("set_link", { name: "card", up: isIn });
  }

  /** The file of what it has written to its console. */
  get console(): string {
    return `${this.#directory}/console`;
  }

  /** Takes its power. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#monitor[Symbol.dispose]();
    this.#agent[Symbol.dispose]();
    await this.#process.kill();
    await Deno.remove(this.#directory, { recursive: true });
  }

  async #order(command: string, given: Record<string, unknown> = {}): Promise<void> {
    await this.#monitor.say({ execute: command, arguments: given });
    const line = await this.#monitor.next((each) => "return" in each || "error" in each, MINUTE);
    if (line === undefined || "error" in line) {
      throw new Error(`Tell QEMU ${command}: ${JSON.stringify(line ?? "no answer")}`);
    }
  }
}
