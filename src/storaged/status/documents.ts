import type { JobStatus } from "../model/storage_service.ts";

/** A job, as `virtstoraged jobs --json` shows it. */
export interface JobDocument {
  readonly id: number;
  readonly kind: string;
  readonly pool: string;
  /** Absent for what is about the whole pool. */
  readonly volume?: string;
  readonly state: JobStatus["state"];
  /** Unix milliseconds of its beginning. */
  readonly since: number;
  /** Bytes, where they are known. */
  readonly done?: number;
  readonly total?: number;
  /** For whom it runs. */
  readonly client: string;
  readonly pid: number;
  readonly uid: number;
}

/** How the daemon is doing, as `virtstoraged status --json` shows it. */
export interface StatusDocument {
  readonly version: string;
  readonly pid: number;
  /** Unix milliseconds. */
  readonly started: number;
  readonly servers: readonly {
    readonly name: string;
    readonly clients: number;
    readonly clientsMax: number;
  }[];
  readonly streams: number;
  readonly jobs: number;
  readonly pools: {
    readonly active: number;
    readonly inactive: number;
    /** Names of those whose storage has not answered when it was last asked. */
    readonly hung: readonly string[];
  };
  /** Helper processes there are. */
  readonly helpers: number;
  /** Seconds, 0: never. */
  readonly idleTimeout: number;
}

/** A client, as `virtstoraged clients --json` shows it. */
export interface ClientDocument {
  /** Number of the connection, as virt-admin and the jobs have it. */
  readonly id: number;
  /** 0 when it is not known. */
  readonly pid: number;
  readonly uid: number;
  /** Unix milliseconds. */
  readonly connected: number;
  /** What it may do; `nothing` until it is authenticated. */
  readonly access: "everything" | "look" | "nothing";
  /** Calls and streams under way. */
  readonly calls: number;
  readonly streams: number;
}

/** A job for programs. */
export function jobDocument(
  { id, kind, pool, volume, state, since, done, total, caller }: JobStatus,
): JobDocument {
  return {
    id,
    kind,
    pool,
    ...volume === undefined ? {} : { volume },
    state,
    since,
    ...done === undefined ? {} : { done: Number(done) },
    ...total === undefined ? {} : { total: Number(total) },
    ...caller,
  };
}
