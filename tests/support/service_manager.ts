import { Daemon, type Output } from "./daemon.ts";
import { Place } from "./place.ts";
import { kernel } from "./kernel.ts";
import { KILL_SIZE, KILL_VARIABLE, Switch, When } from "./killing_sys.ts";
import { testProgram } from "./programs.ts";

const MAIN = testProgram(new URL("./service_manager_main.ts", import.meta.url));
const KILLING_MAIN = testProgram(new URL("./killing_main.ts", import.meta.url));

/**
 * How long is waited for what it tells, in ms: a daemon with tens of thousands of locks starts for many
 * seconds, and several times as long on a busy machine.
 */
const PATIENCE_MS = 300_000;
/** Between two looks at the log, in ms. */
const LOOK_EVERY = 1000;

/** What the stand-in is told at its start. */
export interface ManagerSetup {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly notifySocket: string;
  /** The daemon's standard output and error. */
  readonly log: string;
  /** Descriptors that the store takes. */
  readonly limit: number;
}

/** What the stand-in tells. */
export type ManagerEvent =
  | { event: "started"; pid: number }
  | { event: "ready"; pid: number }
  | { event: "ended"; status: number; stored: string[] }
  | { event: "stored"; names: string[] };

/** A daemon under a stand-in for systemd, with a descriptor store. Disposing of it kills both. */
export class ServiceManager implements AsyncDisposable {
  readonly place: Place;
  readonly #child: Deno.ChildProcess;
  readonly #commands: WritableStreamDefaultWriter<Uint8Array>;
  readonly #switch: Int32Array;
  readonly #logFile: string;
  #pid = 0;
  #readies = 0;
  #names: string[] = [];
  #lists = 0;
  #ends = 0;
  #watchers = new Set<() => void>();
  /** Settled when it has told everything. */
  readonly #told: Promise<void>;

  private constructor(place: Place, limit: number, args: readonly string[], entry: string) {
    this.place = place;
    this.#logFile = `${place.directory}/log`;
    const switchFile = `${place.directory}/kill-switch`;
    Deno.writeFileSync(switchFile, new Uint8Array(KILL_SIZE));
    const fd = kernel.open(switchFile, 2, 0);
    const mapping = kernel.map(fd, KILL_SIZE);
    kernel.close(fd);
    if (typeof mapping === "number") throw new Error(`Map ${switchFile}: errno ${-mapping}`);
    this.#switch = new Int32Array(mapping.bytes.buffer, mapping.bytes.byteOffset, 3);
    const setup: ManagerSetup = {
      command: [Deno.execPath(), "run", "-A", entry, ...args],
      env: { ...place.env, [KILL_VARIABLE]: switchFile },
      notifySocket: `${place.directory}/notify`,
      log: this.#logFile,
      limit,
    };
    const [program = "", ...rest] = place.command([
      Deno.execPath(),
      "run",
      "-A",
      MAIN,
      JSON.stringify(setup),
    ]);
    this.#child = new Deno.Command(program, {
      args: rest,
      env: place.env,
      clearEnv: true,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    this.#commands = this.#child.stdin.getWriter();
    this.#told = this.#read();
  }

  /**
   * Starts the stand-in and the daemon, and waits until the daemon is ready.
   *
   * @param options `place` belongs to the manager from now on
   */
  static async start(
    options: { limit?: number; args?: readonly string[]; entry?: string; place?: Place } = {},
  ): Promise<ServiceManager> {
    const { limit = 1000, args = [], entry = KILLING_MAIN, place = Place.create() } = options;
    const manager = new ServiceManager(place, limit, args, entry);
    await manager.#command("start");
    await manager.ready(1);
    return manager;
  }

  /** The daemon's. */
  get pid(): number {
    return this.#pid;
  }

  /** Path of the socket for libvirt. */
  get socket(): string {
    return this.place.paths.socket;
  }

  /** How often a daemon was ready. */
  get readies(): number {
    return this.#readies;
  }

  /** How often a daemon has ended. */
  get ends(): number {
    return this.#ends;
  }

  /** What all daemons have logged. */
  get log(): string {
    return Deno.readTextFileSync(this.#logFile);
  }

  /** Waits until daemons have been ready so many times. */
  async ready(times: number): Promise<void> {
    await this.#until(`ready for the ${times}. time`, () => this.#readies >= times);
  }

  /** SIGKILL; waits until the next daemon is ready. */
  async crash(): Promise<void> {
    const next = this.#readies + 1;
    await this.#command("kill");
    await this.ready(next);
  }

  /** `systemctl restart`; waits until the next daemon is ready. */
  async restart(): Promise<void> {
    const next = this.#readies + 1;
    await this.#command("restart");
    await this.ready(next);
  }

  /**
   * SIGUSR1; waits until a daemon is ready again, be it the next image or, when it was killed in it, the next
   * daemon. Where the new program was too slow, as on a busy machine, it is asked for again.
   */
  async reExec(): Promise<void> {
    const next = this.#readies + 1;
    const tooSlow = () => this.log.split("given up, everything goes on as before: it did not end").length;
    let before = tooSlow();
    Deno.kill(this.#pid, "SIGUSR1");
    const look = setInterval(() => {
      if (tooSlow() === before) return;
      before = tooSlow();
      Deno.kill(this.#pid, "SIGUSR1");
    }, LOOK_EVERY);
    try {
      await this.ready(next);
    } finally {
      clearInterval(look);
    }
  }

  /** SIGKILL, without a restart. */
  async kill(): Promise<void> {
    const next = this.#ends + 1;
    await this.#command("hold");
    await this.#command("kill");
    await this.#until("end of the daemon", () => this.#ends >= next);
  }

  /** Starts the daemon again after {@link kill}. */
  async start(): Promise<void> {
    const next = this.#readies + 1;
    await this.#command("start");
    await this.ready(next);
  }

  /** Names in the store. */
  async stored(): Promise<string[]> {
    const next = this.#lists + 1;
    await this.#command("list");
    await this.#until("list of the store", () => this.#lists >= next);
    return this.#names.toSorted();
  }

  /**
   * Drops what is kept, as systemd does when its limit is lowered. @param names all without any
   */
  async drop(...names: readonly string[]): Promise<void> {
    const next = this.#lists + 1;
    await this.#command(["drop", ...names].join(" "));
    await this.#until("drop", () => this.#lists >= next);
  }

  /** Drops everything that is kept. */
  async empty(): Promise<void> {
    await this.drop();
  }

  /** Drops everything that is kept, and kills the daemon in the same moment. */
  async emptyAndKill(): Promise<void> {
    await this.#command("empty-and-kill");
  }

  /** Runs one of the program's commands. */
  async command(...args: string[]): Promise<Output> {
    return await Daemon.run({ args, place: this.place });
  }

  /** Changes how many descriptors it keeps; what is there stays. */
  async limit(limit: number): Promise<void> {
    const next = this.#lists + 1;
    await this.#command(`limit ${limit}`);
    await this.#until("limit", () => this.#lists >= next);
  }

  /** From now on it takes no messages: the daemon finds its queue full after some. */
  async pause(): Promise<void> {
    const next = this.#lists + 1;
    await this.#command("pause");
    await this.#until("pause", () => this.#lists >= next);
  }

  /** Takes messages again. */
  async resume(): Promise<void> {
    await this.#command("resume");
  }

  /** Has the daemon kill itself at the `count`-th system call from now. */
  arm(count: number, when: number = When.BEFORE): void {
    this.#switch[Switch.MADE] = 0;
    this.#switch[Switch.WHEN] = when;
    this.#switch[Switch.LEFT] = count;
  }

  /** Takes the switch back. @returns how many calls were made since */
  disarm(): number {
    this.#switch[Switch.LEFT] = 0;
    return this.#switch[Switch.MADE] as number;
  }

  /** Whether it has killed itself since {@link arm}. */
  get struck(): boolean {
    return this.#switch[Switch.LEFT] === 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#commands.close().catch(() => {});
    await Promise.all([this.#child.status, this.#told]);
    this.place[Symbol.dispose]();
  }

  async #command(line: string): Promise<void> {
    await this.#commands.write(new TextEncoder().encode(`${line}\n`));
  }

  async #read(): Promise<void> {
    let pending = "";
    for await (const chunk of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      pending += chunk;
      const lines = pending.split("\n");
      pending = lines.pop() ?? "";
      for (const line of lines) this.#take(JSON.parse(line));
      for (const look of this.#watchers) look();
    }
  }

  #take(event: ManagerEvent): void {
    switch (event.event) {
      case "started":
        this.#pid = event.pid;
        return;
      case "ready":
        this.#readies++;
        return;
      case "ended":
        this.#ends++;
        return;
      case "stored":
        this.#names = event.names;
        this.#lists++;
    }
  }

  async #until(what: string, condition: () => boolean): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const look = () => condition() && resolve();
    const timer = setTimeout(
      () =>
        reject(new Error(`Wait for ${what}: not within ${PATIENCE_MS} ms; log:\n${this.log.slice(-4000)}`)),
      PATIENCE_MS,
    );
    this.#watchers.add(look);
    look();
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      this.#watchers.delete(look);
    }
  }
}
