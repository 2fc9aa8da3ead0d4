import assert from "node:assert/strict";
import { clientKey } from "../../../../src/chassis/rpc/client_key.ts";
import { CountedExchange } from "../../../../src/chassis/rpc/counted_exchange.ts";
import type { Connection } from "../../../../src/chassis/rpc/connection.ts";
import type { Peer } from "../../../../src/chassis/rpc/program.ts";
import type { RpcServer } from "../../../../src/chassis/rpc/server.ts";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { journalSnapshot, type RecordedClient } from "../../../../src/lockd/crash/journal_snapshot.ts";
import { DescriptorStore } from "../../../../src/lockd/store/descriptor_store.ts";
import { DurableLog } from "../../../../src/chassis/journal/durable_log.ts";
import { LockRecorder } from "../../../../src/lockd/journal/lock_recorder.ts";
import { SharedMemory } from "../../../../src/chassis/journal/journal_memory.ts";
import type { JournalState } from "../../../../src/lockd/journal/journal_state.ts";
import { createLog, readLog } from "../../../../src/lockd/journal/lock_format.ts";
import { GrantTrail } from "../../../../src/lockd/lockspace/grant_trail.ts";
import type { DyingHolder, EndedOwner } from "../../../../src/lockd/lockspace/holder_reaper.ts";
import { LockTable } from "../../../../src/lockd/lockspace/lock_table.ts";
import { type Owner, type OwnerKey, ownerKey } from "../../../../src/lockd/lockspace/owner.ts";
import { PosixGuard } from "../../../../src/lockd/lockspace/posix_guard.ts";
import type { Resource } from "../../../../src/lockd/lockspace/resource.ts";
import { LockSession } from "../../../../src/lockd/programs/lock_program.ts";
import { SOCK_DGRAM } from "../../../../src/os/constants.ts";
import { DescriptorLedger } from "../../../../src/os/ledger.ts";
import { ANYWHERE } from "../../../support/anywhere.ts";
import { DEAF } from "../../../support/deaf_observer.ts";
import { kernel } from "../../../support/kernel.ts";
import { MemoryLockFiles } from "../../../support/memory_lock_files.ts";
import { NOTHING_WRITTEN } from "../../../support/nothing_written.ts";
import { Random } from "../../../support/random.ts";
import { KeptLog } from "../journal/kept_log.ts";

const CALLS = [
  "acquire",
  "acquire",
  "share",
  "release",
  "release",
  "fail the next release",
  "give up",
  "lockspace",
  "connect",
  "register",
  "restrict",
  "disconnect",
  "receive",
  "receive and drop",
  "serve",
  "send",
  "half fail",
  "doubt",
  "make posix",
  "lose",
  "regain",
  "begin to die",
  "die",
  "settle",
] as const;
/** What is done, and two numbers that choose what it is done to. */
type Call = readonly [what: typeof CALLS[number], which: number, whose: number];

const NAMES = ["/images/a", "/images/b", "/images/c"];
const LEASES = "/leases";

/** A client that the journal knows, without a socket that anybody speaks through. */
interface PlayedClient extends RecordedClient {
  readonly peer: Peer;
  readonly closed: false;
  readonly fd: number;
  unsettled: { bytes: Uint8Array; dropped: number };
  unsent: Uint8Array;
  readonly lock: LockSession;
}

/** A journal behind a real lock table, with clients and holders that are played. */
class World implements Disposable {
  readonly #loop = new EventLoop(kernel);
  readonly #closed: number[] = [];
  readonly #ledger = new DescriptorLedger({
    close: (fd) => {
      this.#files.close(fd);
      return 0;
    },
  });
  readonly #files: MemoryLockFiles = new MemoryLockFiles(this.#ledger, {
    answer: (run) => run(),
    fails: () => this.#failing-- > 0,
  });
  readonly #memory: SharedMemory;
  readonly #journal: LockRecorder;
  readonly #table: LockTable;
  readonly #exchange: CountedExchange;
  readonly #servers = [0, 1].map((ordinal) => ({
    ordinal,
    nextClientId: 1,
    clients: new Map<number, PlayedClient>(),
  }));
  readonly #dying = new Map<OwnerKey, DyingHolder>();
  readonly #ended = new Map<OwnerKey, EndedOwner>();
  readonly #trail = new GrantTrail();
  #failing = 0;
  #nextFd = 5000;

  constructor() {
    const fd = kernel.memfd("journal");
    const pair = kernel.socketPair(SOCK_DGRAM);
    assert.ok(typeof pair !== "number");
    this.#closed.push(fd, ...pair);
    this.#memory = new SharedMemory(kernel, fd);
    const log = new DurableLog({
      memory: this.#memory,
      log: createLog(this.#memory),
      store: new DescriptorStore({
        socket: { fd: pair[0], send: () => "sent" },
        loop: this.#loop,
        sys: { ...kernel, socketPair: () => -24 },
        ledger: this.#ledger,
        log: new KeptLog(),
        limit: 4000,
        stored: [],
        dropped: () => {},
      }),
      loop: this.#loop,
      logger: new KeptLog(),
    });
    this.#journal = new LockRecorder({
      log,
      slots: [],
      markOf: ({ pid }) => ({ pid, start: pid + 1000 }),
    });
    const { memory, offset } = log.exchangeMemory;
    this.#exchange = new CountedExchange(kernel, memory, offset);
    this.#table = new LockTable({
      files: this.#files,
      ledger: this.#ledger,
      guard: new PosixGuard(this.#ledger),
      observer: { ...DEAF, ...this.#journal.observer },
      ...ANYWHERE,
      ...NOTHING_WRITTEN,
      watch: {
        begin: () => undefined,
        hasEnded: () => false,
        processOf: (key) => this.#ended.has(key) ? undefined : { key, pid: Number(key), start: 1, pidfd: 9 },
      },
      opened: () => "open",
      staleResumeAllowed: () => true,
      findHolder: (_path, _identity, _pid, done) => done({ kind: "unknown" }),
      now: () => 1_795_230_578_000,
    });
    this.#journal.begin({ exchange: this.#exchange, snapshot: () => this.#snapshot() }, [], []);
  }

  /** Does something, as far as there is something to do it to. */
  call([what, which, whose]: Call): void {
    const owner = ownerOf(whose % 4);
    const lockspace = which % 2 === 0 ? "" : LEASES;
    const name = lockspace === "" ? NAMES[which % NAMES.length] as string : `lease${which % 3}`;
    const resource = pick([...this.#table.resources()], which);
    const client = pick(this.#servers.flatMap(({ clients }) => [...clients.values()]), which);
    const nothing = () => {};
    switch (what) {
      case "acquire":
      case "share": {
        const options = { shared: what === "share", autocreate: true };
        this.#table.acquire(lockspace, name, options, owner, nothing, this.#trail);
        break;
      }
      case "release":
        this.#table.release(lockspace, name, owner, nothing);
        break;
      case "fail the next release":
        this.#failing = 1;
        break;
      case "give up":
        if (resource !== undefined) this.#table.giveUp(resource, firstOwner(resource), nothing);
        break;
      case "lockspace":
        this.#table.ensureLockspace(`${LEASES}${which % 3 || ""}`, nothing);
        break;
      case "half fail":
        this.#table.abandon(this.#trail);
        break;
      case "doubt":
      case "make posix":
        this.#recast(resource, what);
        break;
      case "lose":
        this.#lose(resource);
        break;
      case "regain":
        this.#regain(resource);
        break;
      case "connect":
        this.#connect(which % 2);
        break;
      case "begin to die":
      case "die":
      case "settle":
        this.#end(what, owner);
        break;
      default:
        if (client !== undefined) this.#clientCall(what, client, owner);
    }
  }

  /** What the next daemon would find: everything that is recorded so far. */
  recorded(): JournalState {
    // What is under way is recorded at the end of the batch.
    this.#loop.turn(0);
    this.#journal.log.flush();
    this.#journal.log.forgetRemoved();
    const read = readLog(new SharedMemory(kernel, this.#memory.fd));
    if (typeof read === "string") throw new Error(read);
    assert.equal(read.damage, undefined);
    return read.state;
  }

  /** The same after the log was written anew. */
  compacted(): JournalState {
    this.#journal.log.leave(() => {});
    this.#journal.stay([], []);
    return this.recorded();
  }

  [Symbol.dispose](): void {
    this.#loop.close();
    for (const fd of this.#closed) kernel.close(fd);
  }

  #snapshot() {
    return journalSnapshot(
      {
        exchange: this.#exchange,
        table: this.#table,
        reaper: { dying: [...this.#dying.values()], ended: [...this.#ended.values()] },
        servers: this.#servers,
      },
      this.#journal,
      { limits: [] },
    );
  }

  #recast(resource: Resource | undefined, what: "doubt" | "make posix"): void {
    const { handle, state } = resource ?? {};
    if (resource === undefined || handle?.kind !== "file" || state?.kind !== "held") return;
    if (what === "make posix") this.#table.recast(resource, "posix", state);
    else this.#table.recast(resource, handle.lock, { kind: "doubtful", reason: "why" });
  }

  #lose(resource: Resource | undefined): void {
    const { handle, state } = resource ?? {};
    const ours = handle?.kind === "file" && handle.lock === "ofd" && state?.kind !== "releasing";
    if (resource === undefined || !ours) return;
    this.#table.lose(resource, { kind: "lost", reason: "somebody has it" }, "is lost");
  }

  #regain(resource: Resource | undefined): void {
    if (resource?.state.kind !== "lost") return;
    const { handle, path, shared } = resource;
    // The kernel has dropped it.
    if (handle.kind === "file") this.#files.close(handle.fd);
    this.#files.lock({ path, shared, autocreate: true, followLinks: true }, (outcome) => {
      if (outcome.kind === "granted") this.#table.seize(resource, outcome.fd, outcome.identity);
    });
  }

  #connect(ordinal: number): void {
    const server = this.#servers[ordinal];
    assert.ok(server !== undefined);
    const clientId = server.nextClientId++;
    const peer = { clientId, pid: 70 + clientId, uid: 0, gid: 0, connectedAt: 5, security: "", pidfd: -1 };
    const lock = new LockSession(peer);
    const client: PlayedClient = {
      key: clientKey(ordinal, clientId),
      closed: false,
      fd: this.#nextFd++,
      peer,
      lock,
      unsettled: { bytes: new Uint8Array(0), dropped: 0 },
      unsent: new Uint8Array(0),
      session: () => ordinal === 0 ? lock : undefined,
    };
    server.clients.set(clientId, client);
    this.#journal.observer.connected(
      { ordinal } as Partial<RpcServer> as RpcServer,
      client as Partial<Connection> as Connection,
    );
  }

  #clientCall(what: Call[0], client: PlayedClient, owner: Owner): void {
    const { observer } = this.#journal;
    const { turn, lastReply } = this.#exchange;
    const { bytes, dropped } = client.unsettled;
    const isLock = client.session(0) !== undefined;
    switch (what) {
      case "register":
        if (!isLock) return;
        client.lock.owner = owner;
        return observer.registered(client.lock);
      case "restrict":
        if (!isLock) return;
        client.lock.restricted = true;
        return observer.restricted(client.lock);
      case "disconnect": {
        const server = this.#servers.find(({ clients }) => [...clients.values()].includes(client));
        assert.ok(server !== undefined);
        server.clients.delete(client.lock.peer.clientId);
        return observer.disconnected(
          { ordinal: server.ordinal } as Partial<RpcServer> as RpcServer,
          client as Partial<Connection> as Connection,
          "it has ended",
        );
      }
      case "receive":
      case "receive and drop": {
        // Behind what was dropped of a message, nothing of it is kept.
        const added = {
          bytes: dropped > 0 ? new Uint8Array(0) : new Uint8Array([1, 2, 3]),
          dropped: what === "receive" && dropped === 0 ? 0 : 9,
        };
        client.unsettled = {
          bytes: new Uint8Array([...bytes, ...added.bytes]),
          dropped: dropped + added.dropped,
        };
        return this.#journal.log.inputChanged(client, turn, added);
      }
      case "serve":
        client.unsettled = { bytes: bytes.slice(2), dropped: 0 };
        return this.#journal.log.inputChanged(client, turn);
      case "send":
        client.unsent = new Uint8Array(client.unsent.length === 0 ? [7, 8, 9] : []);
        return this.#journal.log.outputChanged(client, lastReply);
    }
  }

  #end(what: "begin to die" | "die" | "settle", owner: Owner): void {
    const key = ownerKey(owner);
    const { pid } = owner;
    const dying = this.#dying.get(key);
    const ended = this.#ended.get(key);
    if (what === "begin to die" && dying === undefined && ended === undefined) {
      const holder = { key, pid, pidfd: this.#nextFd++, since: 7, killed: false };
      this.#dying.set(key, holder);
      this.#journal.observer.dying(holder);
    } else if (what === "die" && ended === undefined) {
      this.#dying.delete(key);
      this.#ended.set(key, { key, pid });
      for (const parked of [...this.#table.parked.of(key)]) this.#journal.observer.unparked(parked);
      this.#table.parked.forget(key);
      this.#journal.observer.gone({ key, pid }, this.#table.ownedBy(key), true);
    } else if (what === "settle" && ended !== undefined) {
      this.#table.releaseAll(key, () => {});
      this.#ended.delete(key);
      this.#journal.observer.settled(ended);
    }
  }
}

function ownerOf(index: number): Owner {
  return {
    pid: 100 + index,
    name: `guest${index}`,
    uuid: `6ba7b810-9dad-41d1-80b4-00000000000${index}`,
    id: 1,
  };
}

function firstOwner({ holdings: [first] }: Resource): Owner {
  assert.ok(first !== undefined);
  return first.owner;
}

function pick<T>(values: readonly T[], which: number): T | undefined {
  return values[which % Math.max(1, values.length)];
}

/** What a state says, in an order that does not depend on how it came to be. */
function said(state: JournalState) {
  const sorted = <K extends string | number, V>(map: Iterable<[K, V]>) =>
    [...map].sort(([a], [b]) => a < b ? -1 : 1);
  const { nextResource, nextClient, bytes: { outputs, inputs }, dying, clients, locks, parked } = state;
  return {
    lockspaces: [...state.lockspaces].filter((path) => path !== "").sort(),
    locks: sorted(locks),
    clients: sorted(clients),
    inputs: sorted(inputs),
    outputs: sorted(outputs),
    dying: sorted(dying),
    parked: sorted(parked),
    nextResource,
    nextClient,
  };
}

/** Why the two differ after these calls; undefined when they do not. */
function difference(calls: readonly Call[]): string | undefined {
  using world = new World();
  for (const call of calls) {
    world.call(call);
  }
  const recorded = said(world.recorded());
  try {
    assert.deepEqual(said(world.compacted()), recorded);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** As few of the calls as still make a difference. */
function shrunk(calls: readonly Call[]): readonly Call[] {
  let left = calls;
  for (let at = left.length - 1; at >= 0; at--) {
    const without = left.toSpliced(at, 1);
    if (difference(without) !== undefined) left = without;
  }
  return left;
}

function check(calls: readonly Call[]): void {
  if (difference(calls) === undefined) return;
  const few = shrunk(calls);
  assert.fail(`${JSON.stringify(few)}: ${difference(few)}`);
}

Deno.test("journalSnapshot() says what the recorded operations add up to, after each of them alone", () => {
  for (const what of CALLS) {
    check([["lockspace", 0, 0], ["connect", 0, 0], ["acquire", 0, 0], ["acquire", 1, 1], [what, 0, 0]]);
  }
});

// A list that a failure has printed is put here, so that it stays tried.
const FOUND: readonly (readonly Call[])[] = [
  [["die", 0, 3]],
  [["acquire", 0, 0], ["release", 0, 0]],
  [["connect", 0, 0], ["disconnect", 0, 0]],
];

for (const calls of FOUND) {
  Deno.test(`journalSnapshot() says what is recorded after ${calls.map(([what]) => what).join(", ")}`, () => {
    check(calls);
  });
}

Deno.test("journalSnapshot() says what the recorded operations add up to, whatever they are", () => {
  const random = new Random(0x6a6b6c76);
  for (let round = 0; round < 60; round++) {
    const calls = Array.from(
      { length: 1 + random.below(80) },
      (): Call => [random.pick(CALLS), random.below(12), random.below(12)],
    );
    check(calls);
  }
});
