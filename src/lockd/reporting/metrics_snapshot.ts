import type { Calls } from "./calls.ts";

/** The counters on their way through a re-exec. */
export interface MetricsSnapshot {
  /** Of the program that counted. */
  readonly version: string;
  /** When its process began to serve, before any re-exec. */
  readonly started: number;
  /** When the counters began. */
  readonly counting: number;
  readonly stateBytes: number;
  /** Bounds of the histogram's buckets: another version of the program may have others. */
  readonly bounds: readonly number[];
  readonly counts: Readonly<Record<string, number>>;
  readonly connections: Readonly<Record<string, number>>;
  readonly refusals: Readonly<Record<string, number>>;
  readonly calls: readonly (Omit<Calls, "failed"> & { readonly failed: Readonly<Record<string, number>> })[];
}

/** What could be made of a snapshot. */
export interface ReadSnapshot {
  readonly version: string | undefined;
  readonly started: number | undefined;
  readonly counting: number | undefined;
  readonly stateBytes: number | undefined;
  readonly counts: ReadonlyMap<string, number>;
  readonly connections: ReadonlyMap<string, number>;
  readonly refusals: ReadonlyMap<string, number>;
  readonly calls: readonly Calls[];
}

/**
 * Reads a snapshot that another version of the program may have written. No counter is worth a failed
 * restart: what cannot be read is left out.
 *
 * @param bounds those of this version; times measured in other buckets are left out
 */
export function readSnapshot(snapshot: unknown, bounds: readonly number[]): ReadSnapshot {
  const known = isObject(snapshot) ? snapshot : {};
  const sameBounds = JSON.stringify(known["bounds"]) === JSON.stringify(bounds);
  const calls = Array.isArray(known["calls"]) ? known["calls"] : [];
  return {
    version: typeof known["version"] === "string" ? known["version"] : undefined,
    started: readCount(known["started"]),
    counting: readCount(known["counting"]),
    stateBytes: readCount(known["stateBytes"]),
    counts: readCounts(known["counts"]),
    connections: readCounts(known["connections"]),
    refusals: readCounts(known["refusals"]),
    calls: sameBounds ? calls.flatMap((entry) => readCalls(entry, bounds.length + 1)) : [],
  };
}

function readCalls(entry: unknown, bucketCount: number): Calls[] {
  if (!isObject(entry)) return [];
  const { program, procedure, buckets } = entry;
  const succeeded = readCount(entry["succeeded"]);
  const total = readCount(entry["total"]);
  if (typeof program !== "string" || typeof procedure !== "string" || !Array.isArray(buckets)) return [];
  const counted = buckets.flatMap((count) => readCount(count) ?? []);
  if (succeeded === undefined || total === undefined || counted.length !== bucketCount) return [];
  const failed = new Map([...readCounts(entry["failed"])].map(([code, count]) => [Number(code), count]));
  return [{ program, procedure, succeeded, failed, buckets: counted, total }];
}

function readCounts(value: unknown): ReadonlyMap<string, number> {
  if (!isObject(value)) return new Map();
  return new Map(
    Object.entries(value).flatMap(([name, count]) => {
      const read = readCount(count);
      return read === undefined ? [] : [[name, read]];
    }),
  );
}

function readCount(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
