import assert from "node:assert/strict";
import { storageSys } from "../../src/os/storage_sys.ts";
import type { Answer, PoolEvent, StorageService } from "../../src/storaged/model/storage_service.ts";
import { storageCore } from "../../src/storaged/pools/storage_core.ts";
import { MovedLoop } from "./moved_loop.ts";
import { PlayedWork } from "./played_work.ts";
import { recordedLog } from "./recorded_log.ts";
import { Scratch } from "./scratch.ts";

/** A list of a pool in which nothing is. */
export const EMPTY_LISTING = {
  identity: { device: "8:1", mount: "77" },
  sizes: { capacity: 10n, allocation: 4n, available: 6n },
  permissions: { mode: 0o755, owner: 0, group: 0, label: undefined },
  removed: [],
};

/** A storage core with files of its own, over operations that the test plays, and a clock that it moves. */
export class CoreStage implements Disposable {
  readonly work = new PlayedWork();
  readonly events: PoolEvent[] = [];
  readonly told: string[] = [];
  readonly #scratch: Scratch;
  readonly #moved = new MovedLoop();
  readonly #service: StorageService;

  /** @param scratch keeps the files; one directory may serve one core after the other */
  constructor(scratch: Scratch) {
    this.#scratch = scratch;
    const log = recordedLog((line) => this.told.push(line));
    this.#service = storageCore({
      sys: this.#moved.sys,
      storage: storageSys(),
      loop: this.#moved.loop,
      ledger: this.#moved.ledger,
      workers: this.work,
      log,
      directories: CoreStage.directories(scratch),
      settings: () => ({
        answerLimit: 30_000,
        startLimit: 300_000,
        failedRefresh: "keep",
      }),
      observer: (event) => this.events.push(event),
      host: "0123456789ab",
      now: () => 1000,
    });
  }

  /** Where the files of its pools are. */
  static directories(scratch: Scratch) {
    const config = scratch.file("config");
    return { config, autostart: `${config}/autostart`, state: scratch.file("run") };
  }

  get service(): StorageService {
    return this.#service;
  }

  /** Calls the core; the value, or the refusal's text; undefined while it has not answered. */
  call<Value>(
    ask: (service: StorageService, answer: Answer<Value>) => void,
  ): { outcome: Value | string | undefined } {
    const told: { outcome: Value | string | undefined } = { outcome: undefined };
    ask(this.#service, (outcome) => {
      told.outcome = outcome.kind === "done"
        ? outcome.value
        : `${outcome.failure.code} ${outcome.failure.message}`;
    });
    return told;
  }

  /** Names of the pools that are shown as active, or as inactive. */
  pools(active: boolean): readonly string[] {
    const { outcome } = this.call<readonly string[]>((service, answer) => service.poolNames(active, answer));
    assert.ok(Array.isArray(outcome));
    return outcome;
  }

  /** Lets time go by: what is due runs. */
  wait(milliseconds: number): void {
    this.#moved.wait(milliseconds);
  }

  /** Names of the files that say what is up. */
  get states(): string[] {
    return [...Deno.readDirSync(CoreStage.directories(this.#scratch).state)].map(({ name }) => name)
      .filter((name) => name.endsWith(".xml")).sort();
  }

  [Symbol.dispose](): void {
    this.#service.close();
    this.#moved[Symbol.dispose]();
  }
}
