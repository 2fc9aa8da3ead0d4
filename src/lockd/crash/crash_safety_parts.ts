import type { EventLoop } from "../../chassis/event/event_loop.ts";
import type { Log } from "../../chassis/log/log.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { Sys } from "../../os/sys.ts";
import type { ReturnedDescriptor } from "../journal/recovered.ts";
import type { StoreSocket } from "../store/store_outbox.ts";
import type { Carried } from "../restart/recovered_state.ts";
import type { RestartState } from "../restart/state.ts";

/** What the crash safety of a starting daemon depends on. */
export interface CrashSafetyParts {
  readonly sys: Sys;
  readonly loop: EventLoop;
  readonly ledger: DescriptorLedger;
  readonly log: Log;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Directory of the journal where no service manager keeps it. */
  readonly journalDir: string;
  readonly cwd: string;
  /** The service manager, if there is one. */
  readonly notify: StoreSocket | undefined;
  /** Why it is not known whether it keeps descriptors; undefined when it is. */
  readonly doubt: string | undefined;
  /** What the service manager handed over. */
  readonly returned: readonly ReturnedDescriptor[];
  /** State of an earlier image of this very process. */
  readonly handed: RestartState | undefined;
  /** Client limits of the configuration by ordinal of the server. */
  readonly limits: Carried["limits"];
}
