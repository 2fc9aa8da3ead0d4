import type { ClientLimits } from "../rpc/client_limits.ts";
import type { Peer } from "../rpc/program.ts";

/** A client as the admin program sees it. */
export interface AdministeredClient {
  readonly peer: Peer;
  /** Ends its connection at once. */
  end(reason: string): void;
}

/** A server as the admin program sees it. */
export interface AdministeredServer {
  readonly name: string;
  readonly limits: Readonly<ClientLimits>;
  /** By client id, oldest first. */
  readonly clients: ReadonlyMap<number, AdministeredClient>;
  /** How many of them are not authenticated yet; undefined where whoever is admitted is known by its uid. */
  readonly unauthenticated?: number;
  setLimits(limits: Partial<ClientLimits>): void;
}

/**
 * Log settings that can be changed while the daemon runs. Setting throws LogConfigError or SystemError and
 * changes nothing then.
 */
export interface AdministeredLogs {
  readonly outputsCount: number;
  readonly filtersCount: number;
  outputsText(): string;
  filtersText(): string;
  /** An empty text brings the default outputs back. */
  setOutputs(text: string): void;
  setFilters(text: string): void;
}

/** What the admin program administers: the daemon, as far as it is concerned. */
export interface Administered {
  /** In the order in which they are listed. */
  servers(): readonly AdministeredServer[];
  readonly logs: AdministeredLogs;
  /** Seconds without client and what else keeps it after which the daemon stops; 0: never. */
  setIdleTimeout(seconds: number): void;
  /** Stops the daemon. @param preserve its state is kept for the next start */
  shutdown(preserve: boolean): void;
  /** Names of accounts; the number as text when there is none. */
  userName(uid: number): string;
  groupName(gid: number): string;
}
