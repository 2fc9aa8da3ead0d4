import type { RpcFailure } from "../../chassis/wire/rpc_error.ts";

// What the storage core does for whoever asks: the programs on their sockets, the commands of an operator.
// Nothing here knows a protocol. Names, flags and numbers are libvirt's, as its public headers give them.

/** How a call ended. */
export type Outcome<Value> =
  | { readonly kind: "done"; readonly value: Value }
  /** What the client is told, as libvirt words it. */
  | { readonly kind: "refused"; readonly failure: RpcFailure };

/** Told once how a call ended: perhaps before the call returns, perhaps hours later. */
export type Answer<Value> = (outcome: Outcome<Value>) => void;

/** Names a pool. A pool is found by its uuid; the name is for messages. */
export interface PoolRef {
  readonly name: string;
  /** Lower case, with dashes. */
  readonly uuid: string;
}

/** Names a volume. It is found by the name of its pool and its own. */
export interface VolumeRef {
  readonly pool: string;
  readonly name: string;
  readonly key: string;
}

/** For whom a job runs. */
export interface Caller {
  /** Process id of the client, 0 when it is not known. */
  readonly pid: number;
  readonly uid: number;
  /** Number of the client's connection, as virt-admin lists it. */
  readonly client: string;
}

/** virStoragePoolInfo. Sizes in bytes. */
export interface PoolInfo {
  /** 0 inactive, 1 building, 2 running. */
  readonly state: number;
  readonly capacity: bigint;
  readonly allocation: bigint;
  readonly available: bigint;
}

/** virStorageVolInfo. Sizes in bytes. */
export interface VolumeInfo {
  /** 0 file, 1 block, 2 directory, 3 network, 4 network directory, 5 ploop. */
  readonly type: number;
  readonly capacity: bigint;
  readonly allocation: bigint;
}

/** What happens to pools. */
export type PoolEvent =
  | { readonly kind: "lifecycle"; readonly pool: PoolRef; readonly event: PoolLifecycle }
  | { readonly kind: "refresh"; readonly pool: PoolRef };

/** virStoragePoolEventLifecycleType. */
export const PoolLifecycle = {
  DEFINED: 0,
  UNDEFINED: 1,
  STARTED: 2,
  STOPPED: 3,
  CREATED: 4,
  DELETED: 5,
} as const;
export type PoolLifecycle = typeof PoolLifecycle[keyof typeof PoolLifecycle];

/** What came of asking a download for more. */
export type DownloadPiece =
  /** So many bytes are in the buffer now. */
  | { readonly kind: "data"; readonly length: number }
  /** So many zero bytes that are not sent one by one; only of a sparse download. */
  | { readonly kind: "hole"; readonly length: bigint }
  /** Nothing yet: {@link Download.ready} is called when there is more. */
  | { readonly kind: "wait" }
  | { readonly kind: "end" }
  | { readonly kind: "failed"; readonly failure: RpcFailure };

/** A volume on its way to a client. */
export interface Download {
  /**
   * Takes what comes next.
   *
   * @param into its length is the most that is taken
   */
  readonly next: (into: Uint8Array) => DownloadPiece;
  /** Called when {@link next} has something again after it said "wait". */
  ready: () => void;
  /** Ends it, early or after the end. Harmless when it has ended. */
  readonly close: () => void;
}

/** A volume on its way from a client. */
export interface Upload {
  /**
   * Takes bytes.
   *
   * @returns how many were taken, from the first on; fewer than given: {@link ready} is called when more can
   *   be
   */
  readonly write: (bytes: Uint8Array) => number;
  /**
   * Takes a hole of so many bytes; only of a sparse upload.
   *
   * @returns false when it has to be given again after {@link ready}
   */
  readonly hole: (length: bigint) => boolean;
  /** Called when more can be taken. */
  ready: () => void;
  /** Called when the volume cannot be written any more; nothing is taken from then on. */
  failed: (failure: RpcFailure) => void;
  /** Everything was given: answers when all of it is in the volume. */
  readonly finish: (answer: Answer<void>) => void;
  /**
   * The client has given up. What was written stays written. Harmless when it has ended.
   *
   * @param freed called when the volume is not in use any more: perhaps before this returns
   */
  readonly abort: (freed?: () => void) => void;
}

/** A job that takes its time. */
export interface JobStatus {
  readonly id: number;
  /** What is done, e.g. `create`, `clone`, `upload`. */
  readonly kind: string;
  readonly pool: string;
  readonly volume: string | undefined;
  readonly caller: Caller;
  /** Unix milliseconds. */
  readonly since: number;
  /** Bytes done and to be done, where that is known. */
  readonly done: bigint | undefined;
  readonly total: bigint | undefined;
  /** "hung": its storage has not answered within the time limit. */
  readonly state: "waiting" | "running" | "hung";
  /** Whether its call has ended with an error, and its process, which is killed, has not. */
  readonly givenUp: boolean;
}

/** Pools and volumes. Each call answers exactly once. Flags that are not known are refused. */
export interface StorageService {
  /**
   * Somebody opens a connection. Refused while another daemon serves the pools of this host: libvirt's, which
   * has the lock then.
   */
  readonly open: (answer: Answer<void>) => void;
  /** Whether the pool is known, without waiting for anything. */
  readonly poolNames: (active: boolean, answer: Answer<readonly string[]>) => void;
  readonly listPools: (flags: number, answer: Answer<readonly PoolRef[]>) => void;
  readonly poolByName: (name: string, answer: Answer<PoolRef>) => void;
  readonly poolByUuid: (uuid: string, answer: Answer<PoolRef>) => void;
  readonly poolByVolume: (volume: VolumeRef, answer: Answer<PoolRef>) => void;
  readonly poolByTargetPath: (path: string, answer: Answer<PoolRef>) => void;
  readonly poolInfo: (pool: PoolRef, answer: Answer<PoolInfo>) => void;
  readonly poolXml: (pool: PoolRef, flags: number, answer: Answer<string>) => void;
  readonly poolIsActive: (pool: PoolRef, answer: Answer<boolean>) => void;
  readonly poolIsPersistent: (pool: PoolRef, answer: Answer<boolean>) => void;
  readonly poolAutostart: (pool: PoolRef, answer: Answer<boolean>) => void;
  readonly setPoolAutostart: (pool: PoolRef, autostart: boolean, answer: Answer<void>) => void;

  readonly definePool: (xml: string, flags: number, answer: Answer<PoolRef>) => void;
  readonly undefinePool: (pool: PoolRef, answer: Answer<void>) => void;
  /** Makes a transient pool and starts it. */
  readonly createPool: (caller: Caller, xml: string, flags: number, answer: Answer<PoolRef>) => void;
  readonly startPool: (caller: Caller, pool: PoolRef, flags: number, answer: Answer<void>) => void;
  readonly buildPool: (caller: Caller, pool: PoolRef, flags: number, answer: Answer<void>) => void;
  readonly destroyPool: (caller: Caller, pool: PoolRef, answer: Answer<void>) => void;
  readonly deletePool: (caller: Caller, pool: PoolRef, flags: number, answer: Answer<void>) => void;
  readonly refreshPool: (caller: Caller, pool: PoolRef, flags: number, answer: Answer<void>) => void;

  /** `<sources>` of the type. */
  readonly findPoolSources: (
    caller: Caller,
    type: string,
    spec: string | undefined,
    flags: number,
    answer: Answer<string>,
  ) => void;
  /** `<storagepoolCapabilities>`. */
  readonly poolCapabilities: (flags: number, answer: Answer<string>) => void;
  /** `<capabilities>` of the connection. */
  readonly capabilities: (answer: Answer<string>) => void;

  readonly volumeNames: (pool: PoolRef, answer: Answer<readonly string[]>) => void;
  readonly listVolumes: (pool: PoolRef, flags: number, answer: Answer<readonly VolumeRef[]>) => void;
  readonly volumeByName: (pool: PoolRef, name: string, answer: Answer<VolumeRef>) => void;
  readonly volumeByKey: (key: string, answer: Answer<VolumeRef>) => void;
  readonly volumeByPath: (path: string, answer: Answer<VolumeRef>) => void;
  readonly volumeInfo: (volume: VolumeRef, flags: number, answer: Answer<VolumeInfo>) => void;
  readonly volumeXml: (volume: VolumeRef, flags: number, answer: Answer<string>) => void;
  readonly volumePath: (volume: VolumeRef, answer: Answer<string>) => void;

  readonly createVolume: (
    caller: Caller,
    pool: PoolRef,
    xml: string,
    flags: number,
    answer: Answer<VolumeRef>,
  ) => void;
  readonly createVolumeFrom: (
    caller: Caller,
    pool: PoolRef,
    xml: string,
    source: VolumeRef,
    flags: number,
    answer: Answer<VolumeRef>,
  ) => void;
  readonly deleteVolume: (caller: Caller, volume: VolumeRef, flags: number, answer: Answer<void>) => void;
  /** `algorithm`: virStorageVolWipeAlgorithm. */
  readonly wipeVolume: (
    caller: Caller,
    volume: VolumeRef,
    algorithm: number,
    flags: number,
    answer: Answer<void>,
  ) => void;
  readonly resizeVolume: (
    caller: Caller,
    volume: VolumeRef,
    capacity: bigint,
    flags: number,
    answer: Answer<void>,
  ) => void;
  /** `length` 0: to the end. Flag 1: sparse. */
  readonly uploadVolume: (
    caller: Caller,
    volume: VolumeRef,
    range: { readonly offset: bigint; readonly length: bigint },
    flags: number,
    answer: Answer<Upload>,
  ) => void;
  readonly downloadVolume: (
    caller: Caller,
    volume: VolumeRef,
    range: { readonly offset: bigint; readonly length: bigint },
    flags: number,
    answer: Answer<Download>,
  ) => void;

  /** Jobs that are under way or wait. */
  readonly jobs: readonly JobStatus[];
  /** Names of the pools whose storage has not answered in time when it was last asked. */
  readonly hungPools: readonly string[];
  /** @returns false when there is no such job, or it cannot be cancelled any more */
  readonly cancelJob: (id: number) => boolean;
  /** The connection of a client has ended: its streams end, what else it began goes on. */
  readonly callerGone: (client: string) => void;

  /** Reads the definitions on disk again, as at SIGHUP. */
  readonly reload: () => void;
  /** Lets the helpers go. Jobs under way are ended or left to end by themselves. */
  readonly close: () => void;
}

/** Who is told of events of pools. */
export type PoolObserver = (event: PoolEvent) => void;
