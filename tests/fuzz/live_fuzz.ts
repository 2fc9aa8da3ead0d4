import { F_WRLCK, O_CLOEXEC, O_RDWR } from "../../src/os/constants.ts";
import { must } from "../../src/os/system_error.ts";
import { ADMIN_PROGRAM, AdminProcedure, type SetParamsArgs } from "../../src/chassis/wire/admin_protocol.ts";
import {
  LOCK_PROGRAM,
  LockProcedure,
  type RegisterArgs,
  type ResourceArgs,
} from "../../src/lockd/wire/lock_protocol.ts";
import { AdminClient } from "../support/admin_client.ts";
import { Daemon, type ProgramOptions } from "../support/daemon.ts";
import { kernel, lockOn } from "../support/kernel.ts";
import { openDescriptors } from "../support/process_usage.ts";
import { Random } from "../support/random.ts";
import { reExecCount } from "../support/re_exec.ts";
import { until } from "../support/until.ts";
import { processMemory } from "../support/process_usage.ts";
import { growths } from "../soak/samples.ts";
import { Bystander } from "./bystander.ts";
import { FuzzConnection } from "./fuzz_connection.ts";
import { FuzzFailure, type FuzzOptions, type FuzzReport } from "./fuzz_run.ts";
import { MessageSource, type Vocabulary } from "./message_source.ts";
import type { Piece } from "./seed_file.ts";
import { ADMIN_SOCKET, type Judge, type Judgement, LOCK_SOCKET } from "./shadow.ts";

const CLIENTS = 6;
/** Relative to the daemon's working directory, so that an input can be sent again to another daemon. */
const PLAY = "play";
/** The fuzzer's own lock is on this file, which its clients ask for. */
const OWN = `${PLAY}/own`;
/** The last client of each round is on the admin socket. */
const ADMIN_CLIENT = CLIENTS - 1;
/** In how many rounds the daemon re-execs, and reads its configuration again, once. */
const RE_EXEC_ONCE = 12;
const RELOAD_ONCE = 8;
const BATCHES = 12;
const BATCH_MESSAGES = 60;
/**
 * MiB by which the daemon's own memory may grow: it gets more locks all the time, some hundreds in a million
 * messages.
 */
const MOST_GROWTH = 8;

/** Sends spoilt messages to a real daemon, whose answers, files and other clients are watched. */
export class LiveFuzz implements AsyncDisposable {
  readonly #daemon: Daemon;
  readonly #own: string;
  readonly #ownFd: number;
  readonly #bystander: Bystander;
  readonly #words: Vocabulary;

  private constructor(daemon: Daemon) {
    this.#daemon = daemon;
    const play = daemon.place.makeDirectory(PLAY);
    const guarded = daemon.place.makeDirectory("bystander");
    this.#own = `${daemon.place.directory}/${OWN}`;
    this.#ownFd = must(kernel.open(this.#own, O_RDWR | 0o100 | O_CLOEXEC, 0o600), "open", this.#own);
    must(kernel.ofdLock(this.#ownFd, F_WRLCK, 0, 1), "F_OFD_SETLK", this.#own);
    for (const name of ["disk0", "disk1", "disk2"]) Deno.writeTextFileSync(`${play}/${name}`, "image");
    Deno.linkSync(`${play}/disk0`, `${play}/disk0-again`);
    this.#bystander = new Bystander(daemon.socket, guarded);
    const names = Array.from({ length: 12 }, (_, index) => `lease${index}`);
    this.#words = {
      lockspaces: ["a", "b", "c/d", "disk0", "nowhere"].map((name) => `${PLAY}/${name}`),
      names: [...names, "..", "../out", "/etc/out", "."],
      files: ["own", "disk0", "disk1", "disk2", "disk0-again", "absent"].map((name) => `${PLAY}/${name}`),
      pids: [2_000_000_001, 2_000_000_002, 2_000_000_003, 0xffffffff, 0],
      admin: false,
    };
  }

  /** Starts a daemon to fuzz. */
  static async start(options: Pick<ProgramOptions, "place" | "program"> = {}): Promise<LiveFuzz> {
    const daemon = await Daemon.start({ ...options, env: { LIBVIRT_LOG_OUTPUTS: "4:stderr" } });
    return new LiveFuzz(daemon);
  }

  /**
   * Runs until so many messages were sent or the time is up. @throws FuzzFailure with the last round's input
   */
  async run({ seed, messages, seconds, oneImage = false }: FuzzOptions): Promise<FuzzReport> {
    const begun = performance.now();
    const descriptors = openDescriptors(this.#daemon.pid);
    const memory: { own: number; images: number }[] = [];
    let [sent, succeeded, asked] = [0, 0, false];
    for (let round = 0; sent < messages && performance.now() - begun < seconds * 1000; round++) {
      const random = new Random(seed).split(round);
      const pieces: Piece[] = [];
      try {
        // Whatever is half said or half answered must be gone on with by the next image.
        const reExec = round === 1 || random.once(RE_EXEC_ONCE);
        if (reExec && !oneImage) {
          this.#daemon.signal("SIGUSR1");
          asked = true;
        }
        if (random.once(RELOAD_ONCE)) this.#daemon.signal("SIGHUP");
        const result = this.#round(random, pieces);
        sent += result.sent;
        succeeded += result.succeeded;
        await this.#checkDaemon();
        memory.push({ own: processMemory(this.#daemon.pid).own, images: 0 });
      } catch (error) {
        throw new FuzzFailure(`Live fuzz, seed ${seed}, round ${round}`, { target: "live", pieces }, error);
      }
    }
    const reExecs = await this.#reExecs(asked);
    let locks = 0;
    await until("no more descriptors to be open than there are locks", () => {
      locks = this.#locks();
      return openDescriptors(this.#daemon.pid) - descriptors <= locks;
    });
    const growth = oneImage ? growths(memory)[0] : undefined;
    if (growth !== undefined && growth.to - growth.from > MOST_GROWTH) {
      throw new Error(`Live fuzz: memory grew from ${growth.from} to ${growth.to} MiB, with ${locks} locks`);
    }
    const took = (performance.now() - begun) / 1000;
    return { messages: sent, succeeded, seconds: took, reExecs, growth };
  }

  /** Sends recorded input again. @throws Error when an answer is wrong */
  async replay(pieces: readonly Piece[]): Promise<void> {
    const connections = new Map<number, FuzzConnection>();
    for (const { client, admin, bytes } of pieces) {
      let connection = connections.get(client);
      if (connection === undefined) connections.set(client, connection = this.#connect(admin));
      if (!connection.accepts(bytes)) throw new Error(`The input of client ${client} may not be sent`);
      connection.send(bytes);
    }
    for (const connection of connections.values()) {
      connection.drain();
      connection.close();
    }
    await this.#checkDaemon();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#bystander[Symbol.dispose]();
    kernel.close(this.#ownFd);
    await this.#daemon[Symbol.asyncDispose]();
  }

  #round(random: Random, pieces: Piece[]): { sent: number; succeeded: number } {
    const total = { sent: 0, succeeded: 0 };
    let next = 0;
    const arrive = (admin: boolean): Guest => {
      const client = next++;
      const source = new MessageSource(random.split(client), { ...this.#words, admin });
      return { client, admin, source, connection: this.#connect(admin) };
    };
    const leave = ({ connection }: Guest) => {
      if (!random.once(4)) connection.drain();
      connection.close();
      total.succeeded += connection.succeeded;
    };
    const guests = Array.from({ length: CLIENTS }, (_, index) => arrive(index === ADMIN_CLIENT));
    for (let batch = 0; batch < BATCHES; batch++) {
      guests.forEach((guest, index) => {
        total.sent += talk(guest, random, pieces);
        if (!guest.connection.spent) return;
        leave(guest);
        guests[index] = arrive(guest.admin);
      });
      // Sometimes the answers pile up.
      if (!random.once(3)) guests.forEach(({ connection }) => connection.drain());
      if (random.once(4)) this.#bystander.check();
    }
    guests.forEach(leave);
    this.#bystander.check();
    return total;
  }

  #connect(admin: boolean): FuzzConnection {
    return admin
      ? new FuzzConnection(this.#daemon.adminSocket, ADMIN_SOCKET, judge)
      : new FuzzConnection(this.#daemon.socket, LOCK_SOCKET, judge);
  }

  async #checkDaemon(): Promise<void> {
    // The log is read between two tasks of this process.
    await new Promise((resolve) => setTimeout(resolve, 0));
    if (!this.#daemon.running) throw new Error(`The daemon has ended; its log:\n${this.#daemon.log.text}`);
    if (this.#daemon.log.text !== "") {
      throw new Error(`The daemon logged an error:\n${this.#daemon.log.text}`);
    }
    if (lockOn(this.#own).mode !== "exclusive") throw new Error("The fuzzer's own lock is gone");
  }

  /**
   * How often the daemon has executed itself anew, by its own count. It serves while it asks its new program:
   * all rounds may be over before.
   *
   * @param asked whether it has to have done so
   */
  async #reExecs(asked: boolean): Promise<number> {
    await using admin = await AdminClient.connect(this.#daemon.adminSocket);
    let count = 0;
    await until("a re-exec", async () => {
      await this.#checkDaemon();
      count = await reExecCount(admin);
      return !asked || count > 0;
    });
    return count;
  }

  /** Locks of the daemon, as the kernel knows them: its PID file's is among them from the beginning. */
  #locks(): number {
    return [...Deno.readDirSync(`/proc/${this.#daemon.pid}/fdinfo`)]
      .filter(({ name }) => /^lock:/m.test(readInfo(`/proc/${this.#daemon.pid}/fdinfo/${name}`))).length;
  }
}

function readInfo(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    // Closed meanwhile.
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

/** One of the clients of a round. */
interface Guest {
  readonly client: number;
  readonly admin: boolean;
  readonly source: MessageSource;
  readonly connection: FuzzConnection;
}

/** Has a client send some messages, in pieces that end anywhere. @returns how many messages */
function talk({ client, admin, source, connection }: Guest, random: Random, pieces: Piece[]): number {
  const messages: Uint8Array[] = [];
  for (let left = 1 + random.below(2 * BATCH_MESSAGES); left > 0 && !connection.spent; left--) {
    const message = source.next();
    if (connection.accepts(message)) messages.push(message);
  }
  const bytes = join(messages);
  for (let at = 0; at < bytes.length;) {
    const end = random.once(2) ? bytes.length : Math.min(bytes.length, at + 1 + random.below(2000));
    const piece = { client, admin, bytes: bytes.slice(at, end) };
    pieces.push(piece);
    connection.send(piece.bytes);
    at = end;
  }
  return messages.length;
}

/** Whether a path is of the playground, or of nothing. */
function isPlay(path: string): boolean {
  return path === "" || (path.startsWith(`${PLAY}/`) && !path.split("/").includes(".."));
}

/** Whether a name leaves its lockspace directory. */
function climbs(name: string): boolean {
  return name.startsWith("/") || name.split("/").includes("..");
}

const judge: Judge = (program, procedure, args) => {
  if (program === LOCK_PROGRAM) return judgeLock(procedure, args);
  return program === ADMIN_PROGRAM ? judgeAdmin(procedure, args) : "free";
};

/** No message may reach a file outside the playground, or make the daemon take this process for a holder. */
function judgeLock(procedure: number, args: unknown): Judgement {
  switch (procedure) {
    case LockProcedure.REGISTER: {
      const { owner } = args as RegisterArgs;
      return owner.pid === Deno.pid || owner.pid === 1_999_999_999 ? "forbidden" : "free";
    }
    case LockProcedure.NEW:
    case LockProcedure.CREATE_LOCKSPACE:
      return isPlay((args as { path: string }).path) ? "free" : "forbidden";
    case LockProcedure.RESTRICT:
      return "free";
    default: {
      const { path, name } = args as ResourceArgs;
      if (path !== "") return climbs(name) ? "must-fail" : "free";
      const own = name.split("/").filter((part) => part !== "" && part !== ".").join("/") === OWN;
      if (own && procedure === LockProcedure.DELETE_RESOURCE) return "forbidden";
      if (own && procedure === LockProcedure.ACQUIRE_RESOURCE) return "must-fail";
      return isPlay(name) ? "free" : "forbidden";
    }
  }
}

/**
 * What would end the run: shutting down, locking everybody out, closing other clients, logging into files.
 */
function judgeAdmin(procedure: number, args: unknown): Judgement {
  switch (procedure) {
    case AdminProcedure.CLIENT_CLOSE:
    case AdminProcedure.SET_LOGGING_OUTPUTS:
    case AdminProcedure.SET_LOGGING_FILTERS:
    case AdminProcedure.CONNECT_CLOSE:
    case AdminProcedure.CONNECT_DAEMON_SHUTDOWN:
      return "forbidden";
    case AdminProcedure.SET_CLIENT_LIMITS:
      return (args as SetParamsArgs).params.length > 0 ? "forbidden" : "free";
    default:
      return "free";
  }
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
