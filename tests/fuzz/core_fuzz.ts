import { OWNER_ONLY } from "../../src/chassis/config/socket_role.ts";
import { ANYWHERE } from "../support/anywhere.ts";
import { NOTHING_WRITTEN } from "../support/nothing_written.ts";
import { EventLoop } from "../../src/chassis/event/event_loop.ts";
import { HolderReaper } from "../../src/lockd/lockspace/holder_reaper.ts";
import { LockTable } from "../../src/lockd/lockspace/lock_table.ts";
import { OwnerWatch } from "../../src/lockd/lockspace/owner_watch.ts";
import { PosixGuard } from "../../src/lockd/lockspace/posix_guard.ts";
import { getLog } from "../../src/chassis/log/log.ts";
import { SOCK_STREAM } from "../../src/os/constants.ts";
import { EAGAIN, ECONNRESET, EPIPE } from "../../src/os/errno.ts";
import { DescriptorLedger } from "../../src/os/ledger.ts";
import { must } from "../../src/os/system_error.ts";
import type { Sys } from "../../src/os/sys.ts";
import { lockProgram, type LockProgramParts } from "../../src/lockd/programs/lock_program.ts";
import { combineObservers } from "../../src/lockd/reporting/observers.ts";
import { PLAIN_EXCHANGE_SIZE, PlainExchange } from "../../src/chassis/rpc/plain_exchange.ts";
import { RpcServer } from "../../src/chassis/rpc/server.ts";
import { LOCK_PROGRAM, LockProcedure, type ResourceArgs } from "../../src/lockd/wire/lock_protocol.ts";
import { kernel } from "../support/kernel.ts";
import { MemoryLockFiles } from "../support/memory_lock_files.ts";
import { Random } from "../support/random.ts";
import { Answers } from "./answers.ts";
import { FakeProcesses } from "./fake_processes.ts";
import { FuzzFailure, type FuzzOptions, type FuzzReport } from "./fuzz_run.ts";
import { MessageSource, type Vocabulary } from "./message_source.ts";
import type { Piece } from "./seed_file.ts";
import { type Judgement, LOCK_SOCKET, Shadow } from "./shadow.ts";

const CLIENTS = 5;
const BATCHES = 20;
const BATCH_MESSAGES = 30;
/** Turns of the loop without an event after which nothing is expected to happen any more. */
const QUIET_TURNS = 3;
const FIRST_PID = 700_000;

/** All are processes of one pid namespace. */
const NAMESPACES: LockProgramParts["namespaces"] = {
  register: (_peer, owner) => ({ owner, uncertain: false }),
};

const WORDS: Vocabulary = {
  lockspaces: ["/locks/a", "/locks/b", "/locks/c", "/locks/nowhere", "/disks/0"],
  names: ["lease0", "lease1", "lease2", "lease3", "lease4", "..", "../out", "/etc/out"],
  files: ["/disks/0", "/disks/1", "/disks/2", "/locks/a/lease0"],
  // The first ones are those of the clients themselves: they are holders.
  pids: [0, 1, 2, 3, 4].map((index) => FIRST_PID + index).concat([2_000_000_001, 0, 0xffffffff]),
  admin: false,
};

interface CoreClient {
  readonly number: number;
  readonly fd: number;
  readonly shadow: Shadow;
  readonly answers: Answers;
  readonly source: MessageSource;
  ended: boolean;
}

/**
 * Server, connections, lock program and lock table in this process: over real sockets, but with files in
 * memory that answer late or fail, and with clients that are killed as holders. Spoilt messages go in, and
 * everything is held against what is due.
 */
export class CoreFuzz implements Disposable {
  readonly #random: Random;
  readonly #processes: FakeProcesses;
  readonly #loop: EventLoop;
  readonly #ledger: DescriptorLedger;
  readonly #files: MemoryLockFiles;
  readonly #watch: OwnerWatch;
  readonly #table: LockTable;
  readonly #server: RpcServer;
  readonly #address: string;
  readonly #baseline: number;
  #crash: unknown;

  /** @param seed of what the files and processes do; the messages have their own */
  constructor(seed: number) {
    this.#random = new Random(seed);
    this.#processes = new FakeProcesses(kernel, this.#random);
    const sys: Sys = {
      ...kernel,
      ...this.#processes.overrides(),
      close: (fd) => {
        this.#processes.closed(fd);
        if (!MemoryLockFiles.owns(fd)) return kernel.close(fd);
        this.#files.close(fd);
        return 0;
      },
    };
    this.#loop = new EventLoop(sys);
    this.#ledger = new DescriptorLedger(sys);
    this.#files = new MemoryLockFiles(this.#ledger, {
      answer: (run) => this.#later(run),
      fails: () => this.#random.once(25),
    });
    const guard = new PosixGuard(this.#ledger);
    const observer = combineObservers([]);
    const now = () => 0;
    const parts = { sys, loop: this.#loop, ledger: this.#ledger, observer, now };
    const watch = this.#watch = new OwnerWatch(parts);
    this.#table = new LockTable({
      ...parts,
      ...ANYWHERE,
      ...NOTHING_WRITTEN,
      watch,
      opened: () => "unknown",
      staleResumeAllowed: () => false,
      files: this.#files,
      guard,
      findHolder: (_path, _identity, _pid, done) => this.#later(() => done({ kind: "unknown" })),
    });
    const reaper = new HolderReaper({ ...parts, watch, table: this.#table });
    const memory = sys.map(-1, PLAIN_EXCHANGE_SIZE);
    if (typeof memory === "number") throw new Error(`Map memory: errno ${-memory}`);
    this.#server = new RpcServer({
      ...parts,
      name: "virtlockd",
      ordinal: 0,
      exchange: new PlainExchange(sys, memory),
      programs: [lockProgram({ table: this.#table, reaper, watch, namespaces: NAMESPACES, observer })],
      limits: { maxClients: 1000, maxAnonymousClients: 1000 },
      uid: sys.uid(),
      durability: { settle: () => "volatile", inputChanged: () => {}, outputChanged: () => {} },
      clock: () => 0,
      log: { ...getLog("rpc.netserver", ""), error: (message) => this.#crash = message },
    });
    this.#address = `@virtlockd-fuzz-${Deno.pid}-${seed}-${Random.freshSeed()}`;
    const listener = must(sys.socket(SOCK_STREAM, true), "socket", this.#address);
    must(sys.bind(listener, this.#address), "bind", this.#address);
    must(sys.listen(listener, 100), "listen", this.#address);
    this.#server.listen({
      fd: listener,
      role: "read-write",
      path: this.#address,
      access: OWNER_ONLY,
      unlink: false,
    });
    this.#server.startAccepting();
    this.#baseline = this.#ledger.size;
  }

  /**
   * Runs until so many messages were sent or the time is up. @throws FuzzFailure with the last round's input
   */
  run({ seed, messages, seconds }: FuzzOptions): FuzzReport {
    const begun = performance.now();
    let [sent, succeeded] = [0, 0];
    for (let round = 0; sent < messages && performance.now() - begun < seconds * 1000; round++) {
      const pieces: Piece[] = [];
      try {
        const result = this.#round(new Random(seed).split(round), pieces);
        sent += result.sent;
        succeeded += result.succeeded;
      } catch (error) {
        throw new FuzzFailure(`Core fuzz, seed ${seed}, round ${round}`, { target: "core", pieces }, error);
      }
    }
    return { messages: sent, succeeded, seconds: (performance.now() - begun) / 1000, reExecs: 0 };
  }

  /** Sends recorded input again. @throws Error when something is wrong */
  replay(pieces: readonly Piece[]): void {
    const clients = new Map<number, CoreClient>();
    for (const { client: number, bytes } of pieces) {
      let client = clients.get(number);
      if (client === undefined) clients.set(number, client = this.#arrive(number, this.#random));
      const owed = client.shadow.push(bytes);
      if (owed === undefined) throw new Error(`The input of client ${number} may not be sent`);
      client.answers.owe(owed);
      this.#send(client, bytes);
    }
    for (const client of clients.values()) this.#leave(client, true);
    this.#check();
  }

  [Symbol.dispose](): void {
    this.#server.stopAccepting();
    for (const [fd, purpose] of [...this.#ledger.entries()]) {
      if (purpose !== "event-loop") this.#ledger.close(fd);
    }
    this.#loop.close();
  }

  #round(random: Random, pieces: Piece[]): { sent: number; succeeded: number } {
    const total = { sent: 0, succeeded: 0 };
    let next = 0;
    const clients = Array.from({ length: CLIENTS }, () => this.#arrive(next++, random));
    const leave = (client: CoreClient, wait: boolean) => {
      this.#leave(client, wait);
      total.succeeded += client.answers.succeeded;
    };
    for (let batch = 0; batch < BATCHES; batch++) {
      clients.forEach((client, index) => {
        total.sent += this.#talk(client, random, pieces);
        if (!client.shadow.closed && client.shadow.missing < 1 << 18 && !random.once(60)) return;
        leave(client, !random.once(3));
        clients[index] = this.#arrive(next++, random);
      });
      if (!random.once(3)) clients.forEach((client) => this.#drain(client));
      if (random.once(3)) this.#processes.reap();
    }
    clients.forEach((client) => leave(client, !random.once(3)));
    this.#check();
    return total;
  }

  #arrive(number: number, random: Random): CoreClient {
    this.#settle();
    this.#processes.next = FIRST_PID + number % CLIENTS;
    const fd = must(kernel.socket(SOCK_STREAM, false), "socket", "client");
    must(kernel.connect(fd, this.#address), "connect", "client");
    this.#settle();
    return {
      number,
      fd,
      shadow: new Shadow(LOCK_SOCKET, judge),
      answers: new Answers(),
      source: new MessageSource(random.split(number), WORDS),
      ended: false,
    };
  }

  #leave(client: CoreClient, wait: boolean): void {
    if (wait) this.#drain(client);
    kernel.close(client.fd);
    client.ended = true;
    this.#settle();
  }

  #talk(client: CoreClient, random: Random, pieces: Piece[]): number {
    const { source, shadow, answers } = client;
    let count = 0;
    for (let left = 1 + random.below(2 * BATCH_MESSAGES); left > 0 && !shadow.closed; left--) {
      const message = source.next();
      const owed = shadow.push(message);
      if (owed === undefined) continue;
      answers.owe(owed);
      count++;
      // One byte at a time, in two pieces, or at once.
      const step = random.pick([1, 1 + random.below(message.length + 1), message.length]);
      for (let at = 0; at < message.length; at += step > 1 || message.length < 200 ? step : message.length) {
        const bytes = message.slice(at, step > 1 || message.length < 200 ? at + step : undefined);
        pieces.push({ client: client.number, admin: false, bytes });
        this.#send(client, bytes);
        if (random.once(3)) this.#loop.turn(0);
      }
    }
    return count;
  }

  #send(client: CoreClient, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length && !client.ended;) {
      const sent = kernel.send(client.fd, bytes.subarray(at));
      if (sent >= 0) {
        at += sent;
      } else if (sent === -EAGAIN) {
        this.#settle();
        this.#receive(client);
      } else if (sent === -EPIPE || sent === -ECONNRESET) {
        this.#receive(client);
      } else {
        must(sent, "send", "client");
      }
    }
  }

  /** Takes all that is due. */
  #drain(client: CoreClient): void {
    do this.#settle(); while (!client.ended && this.#receive(client));
    if (client.answers.due > 0 && !client.shadow.closed) {
      throw new Error(`The server is idle, but due are ${client.answers.text}`);
    }
    if (client.shadow.closed && !client.ended) throw new Error("The connection was not closed");
  }

  /** Reads once. @returns whether there was anything */
  #receive(client: CoreClient): boolean {
    const chunk = new Uint8Array(65536);
    const received = kernel.receiveMessage(client.fd, chunk, false);
    const count = typeof received === "number" ? received : received.length;
    if (count === -EAGAIN) return false;
    if (count > 0) {
      client.answers.receive(chunk.subarray(0, count));
      return true;
    }
    client.ended = true;
    if (!client.shadow.closed) throw new Error(`The connection was closed (${count})`);
    return false;
  }

  /** Turns the loop until nothing happens any more. */
  #settle(): void {
    for (let quiet = 0; quiet < QUIET_TURNS;) {
      quiet = this.#loop.turn(0) > 0 || this.#waiting > 0 ? 0 : quiet + 1;
    }
    if (this.#crash !== undefined) throw new Error(`The server reported: ${this.#crash}`);
  }

  #waiting = 0;

  /** At once, or some turns of the loop later. */
  #later(run: () => void): void {
    if (!this.#random.once(3)) return run();
    let turns = 1 + this.#random.below(3);
    this.#waiting++;
    const wait = () => {
      if (turns-- > 0) return this.#loop.defer(wait);
      this.#waiting--;
      run();
    };
    this.#loop.defer(wait);
  }

  /** Nobody is connected: what is held must be what the files say, and nothing else may be open. */
  #check(): void {
    do this.#settle(); while (this.#processes.reap() > 0);
    this.#settle();
    this.#processes.forget();
    const held = [...this.#table.resources()];
    const open = this.#files.descriptors;
    const missing = held.find(({ handle }) => handle.kind === "none" || !open.has(handle.fd));
    if (missing !== undefined) throw new Error(`The table has '${missing.name}', which is not locked`);
    if (open.size !== held.length) {
      throw new Error(`${open.size} files are locked, the table has ${held.length}`);
    }
    if (held.length !== this.#table.resourceCount) {
      throw new Error(`Resources counted: ${this.#table.resourceCount}`);
    }
    const empty = held.find(({ holdings }) => holdings.length === 0);
    if (empty !== undefined) throw new Error(`Resource '${empty.name}' has no owner`);
    for (let client = 0; client < CLIENTS; client++) {
      const pid = FIRST_PID + client;
      if (this.#table.isDying(pid)) throw new Error(`Process ${pid} is gone, but is still being killed`);
    }
    // Processes that have not ended are watched on.
    const watched = [...this.#watch.processes].length;
    const owned = this.#ledger.size - this.#baseline - held.length - watched;
    if (owned !== 0) throw new Error(`${owned} descriptors are left over: ${purposes(this.#ledger)}`);
  }
}

function purposes(ledger: DescriptorLedger): string {
  return [...ledger.entries()].map(([fd, purpose]) => `${fd} ${purpose}`).join(", ");
}

function judge(program: number, procedure: number, args: unknown): Judgement {
  if (program !== LOCK_PROGRAM || procedure < LockProcedure.CREATE_RESOURCE) return "free";
  if (procedure > LockProcedure.RELEASE_RESOURCE) return "free";
  const { path, name } = args as ResourceArgs;
  return path !== "" && (name.startsWith("/") || name.split("/").includes("..")) ? "must-fail" : "free";
}
