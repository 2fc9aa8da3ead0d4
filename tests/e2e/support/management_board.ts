import { HeldPort } from "../../support/held_port.ts";
import { TestProcess } from "../../support/test_process.ts";
import { until } from "../../support/until.ts";

/** What the board does when it is asked for the power of its host, or told to switch it. */
const CHASSIS = `#!/bin/sh
cd "$(dirname "$0")"
case "$2 $3 $4" in
"get power ") if [ -e off ]; then echo power:0; else echo power:1; fi ;;
"set power 0") if [ -e cuts ]; then kill -KILL $(cat cuts); touch off; fi ;;
esac
`;

const SIMULATION = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr
mc_enable 0x20
`;

function configuration(directory: string, port: number): string {
  const methods = ["callback", "user", "operator", "admin"].map((who) =>
    `    allowed_auths_${who} none md2 md5 straight\n`
  );
  return `name "board"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 ${port}
    priv_limit admin
${methods.join("")}    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "${directory}/chassis 0x20"
  user 2 true "fence" "secret" admin 10 none md2 md5 straight
`;
}

/** The management board of a host, which speaks IPMI: OpenIPMI's simulation of one. Its host is processes. */
export class ManagementBoard implements AsyncDisposable {
  /** User "fence", password "secret". */
  readonly port: number;
  readonly #directory: string;
  readonly #process: TestProcess;
  readonly #held: HeldPort;

  private constructor(held: HeldPort, directory: string, process: TestProcess) {
    this.port = held.number;
    this.#held = held;
    this.#directory = directory;
    this.#process = process;
  }

  /** Starts one, and waits until it listens. Its host is on. */
  static async start(): Promise<ManagementBoard> {
    const directory = Deno.makeTempDirSync({ prefix: "virtlockd-board-" });
    const held = freePort();
    const port = held.number;
    const write = (name: string, text: string) => Deno.writeTextFileSync(`${directory}/${name}`, text);
    write("lan.conf", configuration(directory, port));
    write("board.emu", SIMULATION);
    write("chassis", CHASSIS);
    Deno.chmodSync(`${directory}/chassis`, 0o755);
    Deno.mkdirSync(`${directory}/state`);
    const command = ["ipmi_sim", "-n", "-c", "lan.conf", "-f", "board.emu", "-s", "state"];
    const process = new TestProcess(command, { PATH: "/usr/bin:/bin" }, directory);
    const board = new ManagementBoard(held, directory, process);
    await until("the board to listen", () => listens(port));
    return board;
  }

  /** From now on it cuts the power of its host, which is these processes; before it does nothing. */
  cuts(pids: readonly number[]): void {
    Deno.writeTextFileSync(`${this.#directory}/cuts`, pids.join(" "));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.kill();
    this.#held[Symbol.dispose]();
    Deno.removeSync(this.#directory, { recursive: true });
  }
}

/** Whether anybody has a UDP port of loopback (proc_net_udp: in hexadecimal digits). */
function listens(port: number): boolean {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return Deno.readTextFileSync("/proc/net/udp").includes(` 0100007F:${hex} `);
}

/** A port of loopback that nobody has, of UDP neither. */
function freePort(): HeldPort {
  for (;;) {
    const held = HeldPort.take();
    if (!listens(held.number)) return held;
    held[Symbol.dispose]();
  }
}
