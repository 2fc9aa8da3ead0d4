import assert from "node:assert/strict";
import { ACQUIRE_AUTOCREATE } from "../../src/lockd/wire/lock_protocol.ts";
import { isFree, lockOn } from "../support/kernel.ts";
import { LockClient, testOwner } from "../support/lock_client.ts";
import { Random } from "../support/random.ts";
import { until } from "../support/until.ts";
import { ServiceManager } from "../support/service_manager.ts";
import { THOROUGH } from "../support/thorough.ts";

const CLIENTS = 12;
/** A run of the suite makes the same choices each time; a thorough one makes new ones, which it prints. */
const SEED = Number(Deno.env.get("VIRTLOCKD_TEST_SEED") ?? (THOROUGH ? Random.freshSeed() : 20261121));
/** Crashes in one run; hundreds in a thorough one. */
const CRASHES = THOROUGH ? 400 : 25;

/** A client that takes and releases one lock without pause, and knows what it was told. */
class Worker implements AsyncDisposable {
  readonly file: string;
  /** What the last reply said; undefined while a request is under way. */
  held: boolean | undefined = false;
  replies = 0;
  readonly #leases: string;
  readonly #client: LockClient;
  readonly #name: string;
  #stopping = false;
  #done: Promise<void> = Promise.resolve();

  private constructor(client: LockClient, leases: string, name: string) {
    this.#client = client;
    this.#leases = leases;
    this.#name = name;
    this.file = `${leases}/${name}`;
  }

  static async start(socket: string, leases: string, index: number): Promise<Worker> {
    const client = await LockClient.connect(socket);
    await client.register(testOwner(5_000_000 + index));
    await client.createLockspace(leases);
    const worker = new Worker(client, leases, `w${index}`);
    worker.#done = worker.#run(index);
    // stop() tells.
    worker.#done.catch(() => {});
    return worker;
  }

  /**
   * Stops after the request that is under way. @throws whatever went wrong: a refusal, a lost or a wrong
   * reply
   */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.close();
  }

  async #run(index: number): Promise<void> {
    while (!this.#stopping) {
      const wanted = !this.held;
      this.held = undefined;
      if (wanted) await this.#client.acquire(this.#leases, this.#name, ACQUIRE_AUTOCREATE);
      else await this.#client.release(this.#leases, this.#name);
      this.held = wanted;
      this.replies++;
      // Some locks are held, and some free, for longer than a moment.
      if (this.replies % (3 + index) === 0) await new Promise((resolve) => setTimeout(resolve, 2 + index));
    }
  }
}

/** What replies have promised is so, as the kernel sees it. Nothing else runs in this process meanwhile. */
function assertAsPromised(workers: readonly Worker[]): void {
  for (const { file, held } of workers) {
    if (held === true) assert.equal(lockOn(file).mode, "exclusive", `${file} is held`);
    if (held === false) assert.ok(isFree(file), `${file} is free`);
  }
}

Deno.test(`clients under load lose nothing over ${CRASHES} crashes, restarts and re-execs at random`, async () => {
  console.log(`seed ${SEED}`);
  const chance = new Random(SEED);
  await using manager = await ServiceManager.start();
  const leases = `${manager.place.directory}/leases`;
  await using stack = new AsyncDisposableStack();
  const workers: Worker[] = [];
  for (let index = 0; index < CLIENTS; index++) {
    workers.push(stack.use(await Worker.start(manager.socket, leases, index)));
  }
  for (let crash = 0; crash < CRASHES; crash++) {
    await new Promise((resolve) => setTimeout(resolve, chance.below(60)));
    switch (chance.below(6)) {
      case 0:
        await manager.restart();
        break;
      case 1:
        await manager.reExec();
        break;
      case 2:
        await manager.kill();
        // The store alone holds the locks now.
        assertAsPromised(workers);
        await manager.start();
        break;
      default:
        await manager.crash();
    }
    assertAsPromised(workers);
  }
  // However slow the machine is: each of them is served after the last crash too.
  const before = workers.map(({ replies }) => replies);
  await until(
    "each client to be served",
    () => workers.every(({ replies }, at) => replies > (before[at] ?? 0)),
  );
  for (const worker of workers) await worker.stop();
  assertAsPromised(workers);
});
