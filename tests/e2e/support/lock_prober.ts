import { type Runner, runOk } from "./command.ts";
import { until } from "../../support/until.ts";

// Opens each file anew for each try, as a second host or daemon would, and gives the lock up at once if it
// gets it. It ends when it is told to and has tried as often as it is told.
const PROBER = `
import fcntl, os, struct, sys, time
F_OFD_SETLK, F_WRLCK = 37, 1
answer, paths = sys.argv[1], sys.argv[2:]
tries, grants, when = 0, 0, []
lock = struct.pack("hhqqi4x", F_WRLCK, os.SEEK_SET, 0, 1, 0)
open(answer + ".running", "w").close()
def over():
    try:
        with open(answer + ".stop") as file:
            return tries >= int(file.read())
    except FileNotFoundError:
        return False
while not over():
    for path in paths:
        file = os.open(path, os.O_RDWR)
        try:
            fcntl.fcntl(file, F_OFD_SETLK, lock)
            grants += 1
            if len(when) < 20:
                now = time.time()
                clock = time.strftime("%H:%M:%S", time.gmtime(now))
                when.append("%s at %s.%03d" % (path, clock, now % 1 * 1000))
        except BlockingIOError:
            pass
        os.close(file)
        tries += 1
    time.sleep(0.001)
with open(answer + ".unfinished", "w") as file:
    file.write("\\n".join([str(tries), str(grants)] + when))
os.rename(answer + ".unfinished", answer)
`;

const SAID = "journalctl --sync; journalctl --no-pager --utc --output=short-precise --identifier=virtlockd";

/** What a prober saw. */
export interface Probes {
  tries: number;
  /** How often it got a lock. */
  grants: number;
  /** Which lock it got at what time (UTC, the journal's clock), the first twenty of them. */
  when: string[];
}

/**
 * A process that tries to lock byte 0 of one or several files, each about a thousand times a second, with a
 * lock of its own file description. Every lock that it gets is a moment without protection.
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
  static async start(runner: Runner, ...paths: [string, ...string[]]): Promise<LockProber> {
    const answer = `/run/prober-${crypto.randomUUID()}`;
    const start = 'exec python3 -c "$@" &';
    await runOk(runner, ["sh", "-ec", start, "sh", PROBER, answer, ...paths]);
    await until(`the prober of ${paths.join(", ")}`, async () => {
      return (await runner.run(["test", "-e", `${answer}.running`])).code === 0;
    });
    return new LockProber(runner, answer);
  }

  /** Ends it, when it has tried so often. */
  async stop(atLeast = 0): Promise<Probes> {
    const tell = 'echo "$2" >"$1.told"; mv "$1.told" "$1.stop"';
    await runOk(this.#runner, ["sh", "-ec", tell, "sh", this.#answer, String(atLeast)]);
    const said = await until("the prober's end", async () => {
      const { code, stdout } = await this.#runner.run(["cat", this.#answer]);
      return code === 0 && stdout;
    });
    const [tries, grants, ...when] = said.split("\n");
    if (tries === undefined || grants === undefined) {
      throw new Error(`Probe a lock: the prober said "${said}", want two numbers`);
    }
    return { tries: Number(tries), grants: Number(grants), when };
  }

  /**
   * Ends it, when it has tried so often; it must never have got a lock.
   *
   * @throws Error that tells when which lock was free, and what the daemons have logged
   */
  async neverGranted(atLeast = 1): Promise<void> {
    const { tries, grants, when } = await this.stop(atLeast);
    if (grants === 0) return;
    // What the daemons have said then; without a journal there is none.
    const { stdout } = await this.#runner.run(["sh", "-c", SAID]);
    throw new Error(`${grants} of ${tries} probes got a lock:\n${when.join("\n")}\n${stdout}`);
  }
}
