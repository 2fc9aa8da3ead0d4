import { until } from "../../support/until.ts";
import type { Machine } from "./nspawn.ts";

const PORT = 16510;
const READY = "/run/lost_answer.ready";
const LOST = "/run/lost_answer.lost";
const PID = "/run/lost_answer.pid";
/** Of libvirt's remote protocol, whose calls have a procedure in their bytes 12 to 16: the last step. */
const FINISH = { domainMigrateFinish3: 217, domainMigrateFinish3Params: 306 };

const SCRIPT = `
import socket, struct, sys, threading, time
target, ending = sys.argv[1:]
listener = socket.create_server(("127.0.0.1", ${PORT}))
open("${READY}", "w").close()
client = listener.accept()[0]
server = socket.create_connection((target, 16509))
def forward():
    while True:
        data = client.recv(65536)
        if not data: return
        server.sendall(data)
threading.Thread(target=forward, daemon=True).start()
def read(length):
    data = b""
    while len(data) < length:
        more = server.recv(length - len(data))
        if not more: sys.exit("the other host has closed the connection")
        data += more
    return data
while True:
    head = read(4)
    frame = head + read(struct.unpack(">I", head)[0] - 4)
    procedure, kind = struct.unpack(">II", frame[12:20])
    if kind == 1 and procedure in (${Object.values(FINISH).join(", ")}):
        if ending == "closed": client.shutdown(socket.SHUT_RDWR)
        open("${LOST}", "w").close()
        time.sleep(600)
    client.sendall(frame)
`;

/**
 * Stands between a machine's virsh and the libvirtd of another host, and loses the answer to the last step of
 * a migration: the guest runs there, and here nobody is told. The other host's end of the connection stays.
 */
export class LostAnswer implements AsyncDisposable {
  readonly #machine: Machine;

  private constructor(machine: Machine) {
    this.#machine = machine;
  }

  /**
   * Starts it on a machine.
   *
   * @param target address of the other host
   * @param ending what virsh sees in the place of the answer: the end of its connection, or nothing
   */
  static async between(machine: Machine, target: string, ending: "closed" | "silent"): Promise<LostAnswer> {
    await machine.sh(`rm -f ${READY} ${LOST}; cat >/run/lost_answer.py`, { input: SCRIPT });
    await machine.sh(`python3 /run/lost_answer.py ${target} ${ending} & echo $! >${PID}`);
    const lost = new LostAnswer(machine);
    await until("it to listen", () => lost.#isThere(READY));
    return lost;
  }

  /** What virsh has to connect to in the place of the other host. */
  get address(): string {
    return `127.0.0.1:${PORT}`;
  }

  /** Waits until the answer is lost. */
  async happened(): Promise<void> {
    await until("the last step of the migration", () => this.#isThere(LOST), 60_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#machine.run(["sh", "-c", `kill $(cat ${PID})`]);
  }

  async #isThere(path: string): Promise<boolean> {
    return (await this.#machine.run(["test", "-e", path])).code === 0;
  }
}
