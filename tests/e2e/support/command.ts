// Commands of the host, with a deadline each, so that a hung daemon fails its test instead of stopping the
// run.

/**
 * A command that takes so long, in ms, hangs. apt-get on a busy disk takes a minute and more.
 */
const DEADLINE_MS = 300_000;

/** How to run a command. */
export interface RunOptions {
  /** Text for its standard input; without it, /dev/null. */
  input?: string;
  /** Added to the environment. */
  env?: Record<string, string>;
  /** Killed after so many milliseconds; {@link DEADLINE_MS} when absent. */
  deadline?: number;
}

/** What a command said and how it ended. */
export interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

/** Somewhere that runs commands: this host, a lab, a machine. */
export interface Runner {
  /** Runs it to its end, whatever its exit code. */
  run(argv: readonly string[], options?: RunOptions): Promise<Output>;
}

/** A runner with files of its own. */
export interface Site extends Runner {
  /** Name under which a path of its /run, /etc/libvirt or /var/lib/libvirt is reached from outside. */
  outside(path: string): string;
}

/** A command ended with another exit code than 0. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  readonly output: Output;

  constructor(argv: readonly string[], output: Output) {
    super(`Cannot run "${argv.join(" ")}": exit code ${output.code}\n${output.stdout}${output.stderr}`);
    this.output = output;
  }
}

/** This host as it is. */
export const host: Runner = { run };

async function run(argv: readonly string[], options: RunOptions = {}): Promise<Output> {
  const [program, ...args] = argv;
  if (program === undefined) {
    throw new TypeError("Cannot run a command: its argument list is empty");
  }
  // Output goes through files: a daemon that the command leaves behind may keep a pipe open for ever.
  const directory = await Deno.makeTempDir({ prefix: "run-" });
  try {
    const command = new Deno.Command("sh", {
      args: ["-c", 'out=$1; shift; exec "$@" >"$out/out" 2>"$out/err"', "sh", directory, program, ...args],
      env: options.env ?? {},
      stdin: options.input === undefined ? "null" : "piped",
      stdout: "null",
      stderr: "null",
    });
    const child = command.spawn();
    const timer = setTimeout(() => child.kill("SIGKILL"), options.deadline ?? DEADLINE_MS);
    const { code } = await ended(child, options.input).finally(() => clearTimeout(timer));
    const [stdout, stderr] = await Promise.all(["out", "err"].map((name) => readIfThere(directory, name)));
    return { code, stdout: stdout ?? "", stderr: stderr ?? "" };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function ended(child: Deno.ChildProcess, input: string | undefined): Promise<Deno.CommandStatus> {
  if (input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  }
  return await child.status;
}

async function readIfThere(directory: string, name: string): Promise<string> {
  try {
    return await Deno.readTextFile(`${directory}/${name}`);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      return ""; // killed before it opened the file
    }
    throw error;
  }
}

/**
 * Runs a command that has to succeed.
 *
 * @returns its standard output
 * @throws CommandError when its exit code is not 0
 */
export async function runOk(runner: Runner, argv: readonly string[], options?: RunOptions): Promise<string> {
  const output = await runner.run(argv, options);
  if (output.code !== 0) {
    throw new CommandError(argv, output);
  }
  return output.stdout;
}
