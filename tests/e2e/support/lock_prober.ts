import { type Runner, runOk } from "./command.ts";
import { until } from "./until.ts";

// Opens the file anew for each try, as a second host or daemon would, and gives the lock up at once if it
// gets it.
const PROBER = `
import fcntl, os, struct, sys, time
F_OFD_SETLK, F_WRLCK, F_UNLCK = 37, 1, 2
path, answer = sys.argv[1:3]
tries, grants = 0, 0
open(answer + ".running", "w").close()
while not os.path.exists(answer + ".stop"):
    file = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(file, F_OFD_SETLK, struct.pack("hhqqi4x", F_WRLCK, os.SEEK_SET, 0, 1, 0))
        grants += 1
    except BlockingIOError:
        pass
    os.close(file)
    tries += 1
    time.sleep(0.001)
with open(answer + ".unfinished", "w") as file:
    file.write("%d %d" % (tries, grants))
os.rename(answer + ".unfinished", answer)
`;

/** What a prober saw. */
export interface Probes {
  tries: number;
  /** How often it got the lock. */
  grants: number;
}

/**
 * A process that tries to lock byte 0 of a file about a thousand times a second, with a lock of its own file
 * description.
 *
 * It belongs to the site that it was started on and ends with it.
 */
export class LockProber {
  readonly #runner: Runner;
  readonly #answer: string;

  private constructor(runner: Runner, answer: string) {
    this.#runner = runner;
    this.#answer = answer;
  }

  /** Starts one and waits until it probes. */
  static async start(runner: Runner, path: string): Promise<LockProber> {
    const answer = `/run/prober-${crypto.randomUUID()}`;
    const start = 'exec python3 -c "$1" "$2" "$3" &';
    await runOk(runner, ["sh", "-ec", start, "sh", PROBER, path, answer]);
    await until(`the prober of ${path}`, async () => {
      return (await runner.run(["test", "-e", `${answer}.running`])).code === 0;
    });
    return new LockProber(runner, answer);
  }

  /** Ends it. */
  async stop(): Promise<Probes> {
    await runOk(this.#runner, ["touch", `${this.#answer}.stop`]);
    const said = await until("the prober's end", async () => {
      const { code, stdout } = await this.#runner.run(["cat", this.#answer]);
      return code === 0 && stdout;
    });
    const [tries, grants] = said.split(" ").map(Number);
    if (tries === undefined || grants === undefined) {
      throw new Error(`Probe a lock: the prober said "${said}", want two numbers`);
    }
    return { tries, grants };
  }
}
