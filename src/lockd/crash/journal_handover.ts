import { fieldsOf } from "../../base/fields.ts";
import { parseSlot } from "../journal/descriptor_names.ts";
import type { AdoptedQueue } from "../store/descriptor_queue.ts";
import type { DescriptorStore } from "../store/descriptor_store.ts";
import type { StoreContents } from "../store/store_contents.ts";
import type { JsonValue } from "../restart/state.ts";
import { LISTENER_NAMES } from "./journal_snapshot.ts";

/** What a handover tells of the store. */
type HandedStore = Pick<DescriptorStore, "kept" | "tight"> & {
  readonly contents: Pick<StoreContents, "names" | "queues" | "missing" | "leftOver">;
};

const IN_QUEUES = "queues";

/** What one image tells the next of journal and store. */
export interface JournalHandover {
  /**
   * Whether descriptors are kept by the service manager, and how those of locks are: in queues, or each by
   * itself, as an earlier version had them.
   */
  readonly store: "none" | "single" | "queues";
  /** Whether systemd should keep descriptors and does not, so that it has to be tried again. */
  readonly dropped: boolean;
  /** How often it was noticed that systemd has dropped something. */
  readonly drops: number;
  /** Whether the store is full, or nearly so: it may have been made larger meanwhile. */
  readonly tight: boolean;
  /** Names of locks that are kept by themselves although others are in queues. */
  readonly apart: readonly string[];
  /** Names of listening sockets that are kept; one that the service manager has made is not. */
  readonly listeners: readonly string[];
  /** The queues, with which the next image goes on. */
  readonly queues: readonly AdoptedQueue[];
  /** Names that are not in the store although they should be. */
  readonly missing: readonly string[];
  /** Names that are still in the store although they should not be. */
  readonly leftOver: readonly string[];
}

/**
 * What there is to tell of a store.
 *
 * @param store undefined when there is none
 * @param drops how often it was noticed that systemd has dropped something
 */
export function handoverOf(store: HandedStore | undefined, drops: number): JournalHandover {
  const { names = [], queues = [], missing = [], leftOver = [] } = store?.contents ?? {};
  const stored = [...names];
  return {
    store: store?.kept === true ? "queues" : "none",
    dropped: store?.kept === false,
    drops,
    tight: store?.tight ?? false,
    apart: stored.filter((name) => parseSlot(name)?.kind === "lock"),
    listeners: LISTENER_NAMES.filter((name) => stored.includes(name)),
    queues,
    missing,
    leftOver,
  };
}

/** The handover as the restart document holds it. */
export function writeHandover(handover: JournalHandover): JsonValue {
  const { store, dropped, drops, tight, apart, listeners, queues, missing, leftOver } = handover;
  return {
    // A version that knows no queues stores everything anew when it does not find `true`.
    store: store === "queues" ? IN_QUEUES : store === "single",
    dropped,
    drops,
    tight,
    apart: [...apart],
    listeners: [...listeners],
    queues: queues.map(({ name, taken, names }) => ({ name, taken, names: [...names] })),
    missing: [...missing],
    leftOver: [...leftOver],
  };
}

/** Reads it back. What is not there, or not as this program writes it, is taken for nothing. */
export function readHandover(value: unknown): JournalHandover {
  const { store, dropped, drops, tight, apart, listeners, queues, missing, leftOver } = fieldsOf(value);
  return {
    store: store === IN_QUEUES ? "queues" : store === true ? "single" : "none",
    dropped: dropped === true,
    drops: typeof drops === "number" ? drops : 0,
    tight: tight === true,
    apart: texts(apart),
    listeners: texts(listeners),
    queues: adoptedQueues(queues),
    missing: texts(missing),
    leftOver: texts(leftOver),
  };
}

function adoptedQueues(value: unknown): AdoptedQueue[] {
  const entries: readonly unknown[] = Array.isArray(value) ? value : [];
  return entries.flatMap((entry) => {
    const { name, taken, names } = fieldsOf(entry);
    return typeof name === "string" && typeof taken === "number"
      ? [{ name, taken, names: texts(names) }]
      : [];
  });
}

function texts(value: unknown): string[] {
  const entries: readonly unknown[] = Array.isArray(value) ? value : [];
  return entries.filter((entry): entry is string => typeof entry === "string");
}
