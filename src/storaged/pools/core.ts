import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Log } from "../../chassis/log/log.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { StorageSys } from "../../os/storage_sys.ts";
import type { Sys } from "../../os/sys.ts";
import { type PoolEvent, PoolLifecycle, type PoolObserver } from "../model/storage_service.ts";
import { type StorageOperations, storageOperations } from "../operations/storage_operations.ts";
import type { Workers } from "../work/workers.ts";
import { JobList } from "./job_list.ts";
import type { Pool } from "./pool.ts";
import { type PoolDirectories, PoolFiles } from "./pool_files.ts";
import { PoolList } from "./pool_list.ts";

/** How long storage may take, and what is done when it fails. From the configuration. */
export interface CoreSettings {
  /** Milliseconds in which a question about a volume is answered, or its pool is taken to hang. */
  readonly answerLimit: number;
  /**
   * Milliseconds in which a pool is started, or its list read; and without a sign of life, after which a job
   * or a stream is given up.
   */
  readonly startLimit: number;
  /** What becomes of a pool whose list cannot be read again: "stop" is what libvirt's daemon does. */
  readonly failedRefresh: "keep" | "stop";
}

/** What the storage core is built from. */
export interface CoreParts {
  readonly sys: Sys;
  readonly storage: StorageSys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  readonly workers: Pick<Workers, "run" | "close">;
  readonly log: Log;
  readonly directories: PoolDirectories;
  readonly settings: () => CoreSettings;
  readonly observer: PoolObserver;
  /** Tag of this host in reserved names. */
  readonly host: string;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** What all calls share. */
export class Core {
  readonly parts: CoreParts;
  readonly pools = new PoolList();
  readonly files: PoolFiles;
  readonly jobs: JobList;
  readonly operations: StorageOperations;

  constructor(parts: CoreParts) {
    this.parts = parts;
    this.files = new PoolFiles(parts);
    this.jobs = new JobList(parts.now, () => parts.settings().answerLimit);
    this.operations = storageOperations(parts.storage);
  }

  /** Tells what happened to a pool. */
  tell(pool: Pool, event: keyof typeof PoolLifecycle): void {
    this.#tell({ kind: "lifecycle", pool: pool.ref, event: PoolLifecycle[event] });
  }

  /** Tells that the list of a pool was read again. */
  tellRefresh(pool: Pool): void {
    this.#tell({ kind: "refresh", pool: pool.ref });
  }

  #tell(event: PoolEvent): void {
    this.parts.observer(event);
  }

  /** A pool is not up any more: what is left of it is its definition, if it has one. */
  stopped(pool: Pool): void {
    this.files.removeState(pool.name);
    pool.deactivate();
    if (!pool.persistent) this.pools.remove(pool);
  }
}
