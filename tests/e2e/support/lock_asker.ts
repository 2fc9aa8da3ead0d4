import { type Runner, runOk } from "./command.ts";
import { until } from "../../support/until.ts";

// Speaks libvirt's protocol by itself (docs/protocol.md), as libvirt would for a guest whose disks these are.
// A lock that it gets it gives back at once. Debian 12's smallest Python has no JSON.
const ASKER = `
import hashlib, os, socket, struct, sys, time
answer, space, paths = sys.argv[1], sys.argv[2], sys.argv[3:]
LOCK, KEEPALIVE = 0x0EA7BEEF, 0x6B656570
connection = socket.socket(socket.AF_UNIX)
connection.connect("/run/libvirt/virtlockd-sock")
serial = 0
def text(value):
    data = value.encode()
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4)
def take(count):
    data = b""
    while len(data) < count:
        some = connection.recv(count - len(data))
        if not some:
            raise EOFError("the daemon has closed the connection")
        data += some
    return data
def message():
    length, program, version, procedure, kind, number, status = struct.unpack(">IIIiIII", take(28))
    return program, procedure, status, take(length - 28)
def call(procedure, payload):
    global serial
    serial += 1
    connection.sendall(struct.pack(">IIIiIII", 28 + len(payload), LOCK, 1, procedure, 0, serial, 0) + payload)
    while True:
        program, answered, status, content = message()
        if program == KEEPALIVE:
            connection.sendall(struct.pack(">IIIiIII", 28, KEEPALIVE, 1, 2, 2, 0, 0))
            continue
        if status == 0:
            return None
        there, length = struct.unpack(">8xII", content[:16])
        return content[16:16 + length].decode()
said = call(1, os.urandom(16) + text("asker") + struct.pack(">III", 1, os.getpid(), 0))
if said is not None:
    raise RuntimeError(said)
refused, granted, otherwise = 0, [], {}
open(answer + ".running", "w").close()
while not os.path.exists(answer + ".stop"):
    for path in paths:
        resource = text(space) + text(hashlib.sha256(path.encode()).hexdigest())
        said = call(6, resource + struct.pack(">I", 2))
        if said is None:
            now = time.time()
            clock = time.strftime("%H:%M:%S", time.gmtime(now))
            granted.append("%s at %s.%03d" % (path, clock, now % 1 * 1000))
            call(7, resource + struct.pack(">I", 0))
        elif "is locked by domain" in said:
            refused += 1
        else:
            otherwise[said] = otherwise.get(said, 0) + 1
        time.sleep(0.1)
with open(answer + ".unfinished", "w") as file:
    print("refused", refused, file=file)
    for each in granted:
        print("granted", each, file=file)
    for said, count in otherwise.items():
        print("otherwise", count, said.replace("\\n", " "), file=file)
os.rename(answer + ".unfinished", answer)
`;

/** What somebody was told who asked for locks of others. */
export interface Told {
  /** How often it was refused because somebody else has the lock. */
  readonly refused: number;
  /** Which lock it got at what time (UTC). */
  readonly granted: readonly string[];
  /** How often it was told anything else. */
  readonly otherwise: Readonly<Record<string, number>>;
}

/**
 * A process that asks the lock daemon of its machine for locks which guests of other hosts have, again and
 * again. It belongs to the machine that it was started on and ends with it.
 */
export class LockAsker implements AsyncDisposable {
  readonly #runner: Runner;
  readonly #answer: string;

  private constructor(runner: Runner, answer: string) {
    this.#runner = runner;
    this.#answer = answer;
  }

  /**
   * Starts one and waits until it asks.
   *
   * @param space the lock directory
   * @param disks that libvirt locks there by their paths
   */
  static async start(runner: Runner, space: string, disks: readonly string[]): Promise<LockAsker> {
    const answer = `/run/asker-${crypto.randomUUID()}`;
    await runOk(runner, ["sh", "-ec", 'exec python3 -c "$@" &', "sh", ASKER, answer, space, ...disks]);
    await until(`somebody to ask for ${disks.join(", ")}`, async () => {
      return (await runner.run(["test", "-e", `${answer}.running`])).code === 0;
    });
    return new LockAsker(runner, answer);
  }

  /** Ends it. A question that is under way is waited for. */
  async stop(): Promise<Told> {
    await this[Symbol.asyncDispose]();
    const said = await until("what the asker was told", async () => {
      const { code, stdout } = await this.#runner.run(["cat", this.#answer]);
      return code === 0 && stdout;
    }, 60_000);
    return toldBy(said);
  }

  /** Has it end by itself. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#runner.run(["touch", `${this.#answer}.stop`]);
  }
}

function toldBy(said: string): Told {
  let refused = 0;
  const granted: string[] = [];
  const otherwise: Record<string, number> = {};
  for (const line of said.trimEnd().split("\n")) {
    const [, kind = "", rest = ""] = /^(\w+) (.*)$/.exec(line) ?? [];
    const [, count = "", text = ""] = /^(\d+) (.*)$/.exec(rest) ?? [];
    if (kind === "refused") refused = Number(rest);
    else if (kind === "granted") granted.push(rest);
    else if (kind === "otherwise") otherwise[text] = Number(count);
    else throw new Error(`Ask for locks: the asker said "${line}"`);
  }
  return { refused, granted, otherwise };
}
