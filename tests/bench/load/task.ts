/** What a client of the bench does over and over. */
export type Operation =
  /** CREATE_LOCKSPACE of the default lockspace, for which neither daemon does anything. */
  | "noop"
  /** CREATE_LOCKSPACE of a lockspace that exists: we look whether its directory does too. */
  | "lockspace"
  /** ACQUIRE_RESOURCE of an autocreated file, then RELEASE_RESOURCE. */
  | "pair"
  /** connect, REGISTER, ACQUIRE_RESOURCE, close: what libvirt does when a guest starts. */
  | "start";

/** Where the daemon under test is. */
export interface Target {
  /** Path of its socket. */
  readonly socket: string;
  readonly pid: number;
  /** Directory of an existing lockspace, writable by the daemon. */
  readonly lockspace: string;
}

/** Clients that repeat one operation without pause, one request in flight each. */
export interface LoadTask {
  readonly kind: "load";
  readonly operation: Operation;
  readonly clients: number;
  /** How long it is measured. */
  readonly milliseconds: number;
  /** How long it runs before that. */
  readonly warmup: number;
}

/**
 * Clients that connect, register, take locks, and then stay silent until the standard input of the process
 * ends.
 */
export interface HoldTask {
  readonly kind: "hold";
  readonly clients: number;
  /** Locks of each client, taken one after another. */
  readonly locks: number;
}

/** SIGUSR1 to the daemon with clients connected and locks held. */
export interface ReExecTask {
  readonly kind: "re-exec";
  readonly clients: number;
  readonly locks: number;
  /** Restarts while nothing is in flight; in each one client then sends one request after the other. */
  readonly quiet: number;
  /** Clients that send requests without pause during one more restart. */
  readonly busy: number;
}

/** One run of the load process, given to it as JSON in its first argument. */
export type Task = (LoadTask | HoldTask | ReExecTask) & { readonly target: Target };

/** Nearest-rank percentiles of the time from request to reply, in microseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Answer of a load process to a {@link LoadTask}. */
export interface LoadResult {
  readonly operations: number;
  /** Measured time, without warm-up and without what lies between the batches of guest starts. */
  readonly milliseconds: number;
  readonly latency: Latency;
  /** CPU milliseconds of the daemon and of the load process in the measured time. */
  readonly daemonCpu: number;
  readonly loadCpu: number;
}

/** Answer to a {@link HoldTask}, given when all clients hold all their locks. */
export interface HoldResult {
  /** Time to connect and register all. */
  readonly connect: number;
  /** Time to take all locks. */
  readonly acquire: number;
  readonly latency: Latency;
}

/** Answer to a {@link ReExecTask}. Times are in milliseconds. */
export interface ReExecResult {
  /** The longest wait of a client for each quiet restart; a request that was never answered is not in it. */
  readonly quiet: readonly number[];
  /** Requests after a quiet restart that were never answered. */
  readonly quietLost: number;
  /** Longest time from request to reply under load, of those that were answered. */
  readonly busy: number;
  /** Clients under load whose request was never answered, or whose connection broke. */
  readonly busyLost: number;
  /** Whether the daemon did execute a new image each time. */
  readonly restarted: boolean;
}
