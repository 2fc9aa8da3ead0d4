import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Log } from "../../chassis/log/log.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { EventSys, FileSys } from "../../os/sys.ts";
import type { QueueParts } from "./descriptor_queue.ts";
import type { StoreSocket } from "./store_outbox.ts";

type StoreSys = Pick<EventSys, "pipe" | "monotonic"> & Pick<FileSys, "open" | "close"> & QueueParts["sys"];

/** What a store is made of. */
export interface StoreParts {
  readonly socket: StoreSocket;
  readonly loop: EventLoop;
  readonly sys: StoreSys;
  readonly ledger: DescriptorLedger;
  readonly log: Log;
  readonly limit: number;
  /** Names that an earlier life has stored. */
  readonly stored: Iterable<string>;
  /** Called when the manager has dropped something: everything counts as not stored then. */
  readonly dropped: () => void;
}

/** How full the store is. */
export interface StoreStatus {
  /** Descriptors that the manager keeps, a queue counts as two. */
  readonly stored: number;
  /** Descriptors in the queues. */
  readonly inQueues: number;
  readonly limit: number;
  /** Descriptors that the store could not take. */
  readonly refused: number;
  /** Messages that the service manager has not taken yet. */
  readonly queued: number;
  /** Whether it keeps what it was sent, as far as it takes that. */
  readonly kept: boolean;
}
