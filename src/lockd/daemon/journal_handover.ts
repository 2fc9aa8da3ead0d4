import type { Orphan } from "../journal/orphan_holders.ts";
import type { JsonValue } from "../restart/state.ts";

const IN_QUEUES = "queues";

/** What one image tells the next of journal and store. */
export interface JournalHandover {
  /**
   * Whether descriptors are kept by the service manager, and how those of locks are: in queues, or each by
   * itself, as an earlier version had them.
   */
  readonly store: "none" | "single" | "queues";
  /** Whether the store is full, or nearly so: it may have been made larger meanwhile. */
  readonly tight: boolean;
  /** Names of locks that are kept by themselves although others are in queues. */
  readonly apart: readonly string[];
  /** Names of the queues. */
  readonly queues: readonly string[];
  /** Names that are not in the store although they should be. */
  readonly missing: readonly string[];
  /** Names that are still in the store although they should not be. */
  readonly leftOver: readonly string[];
  readonly orphans: readonly Orphan[];
}

/** The handover as the restart document holds it. */
export function writeHandover(handover: JournalHandover): JsonValue {
  const { store, tight, apart, queues, missing, leftOver, orphans } = handover;
  return {
    // A version that knows no queues stores everything anew when it does not find `true`.
    store: store === "queues" ? IN_QUEUES : store === "single",
    tight,
    apart: [...apart],
    queues: [...queues],
    missing: [...missing],
    leftOver: [...leftOver],
    orphans: orphans.map(({ pid, start }) => ({ pid, start })),
  };
}

/** Reads it back. What is not there, or not as this program writes it, is taken for nothing. */
export function readHandover(value: unknown): JournalHandover {
  const { store, tight, apart, queues, missing, leftOver, orphans } = fields(value);
  return {
    store: store === IN_QUEUES ? "queues" : store === true ? "single" : "none",
    tight: tight === true,
    apart: texts(apart),
    queues: texts(queues),
    missing: texts(missing),
    leftOver: texts(leftOver),
    orphans: list(orphans).flatMap((entry) => {
      const { pid, start } = fields(entry);
      return typeof pid === "number" && typeof start === "number" ? [{ pid, start }] : [];
    }),
  };
}

function fields(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function texts(value: unknown): string[] {
  return list(value).filter((entry): entry is string => typeof entry === "string");
}
