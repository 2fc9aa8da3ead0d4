import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Log } from "../../chassis/log/log.ts";
import { F_SETFD, FD_CLOEXEC } from "../../os/constants.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import { DescriptorStore } from "../store/descriptor_store.ts";
import type { StoredObject } from "../journal/recovered.ts";
import type { StoreSocket } from "../store/store_outbox.ts";
import type { EarlierStore } from "./earlier_store.ts";

/** What a store is opened from. */
export interface StoreSources {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  readonly log: Log;
  readonly socket: StoreSocket;
  /** How many descriptors the service manager keeps, as far as is known; 0 when it is not. */
  readonly limit: number;
  readonly earlier: EarlierStore;
  /** What the journal says to be stored. */
  readonly slots: readonly StoredObject[];
  /** Called when the manager has dropped something. */
  readonly dropped: () => void;
}

/** The store, with all that an earlier life has left in it. Where nothing is kept so far it is suspended. */
export function openStore({ earlier, slots, ...parts }: StoreSources): DescriptorStore {
  const store = new DescriptorStore({ ...parts, stored: earlier.names(slots) });
  store.adopt(earlier.queues);
  const { handed, returned } = earlier.tripwires;
  for (const { fd } of handed) parts.sys.fcntl(fd, F_SETFD, FD_CLOEXEC);
  store.adoptTripwires(handed, returned);
  if (parts.limit === 0) store.suspend();
  return store;
}
