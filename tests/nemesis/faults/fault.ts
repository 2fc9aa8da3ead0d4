import type { Etcd } from "../../support/etcd.ts";
import type { Random } from "../../support/random.ts";
import { until } from "../../support/until.ts";
import type { NemesisHost } from "../nemesis_host.ts";
import type { Network } from "../network.ts";

/** What a fault may be done to. */
export interface Scene {
  readonly etcd: Etcd;
  readonly network: Network;
  readonly hosts: readonly NemesisHost[];
}

/** Something that is wrong for a while. */
export interface Fault {
  /** Its kind, as it is counted. */
  readonly kind: string;
  /** What happens to what. */
  readonly name: string;
  /** What it is done to: of faults with a target in common only one is there at a time. */
  readonly targets: readonly string[];
  /** It lasts so long at least, in ms. */
  readonly shortest?: number;
  begin(): Promise<void> | void;
  /** Undoes it. */
  end(): Promise<void> | void;
}

/** Makes a fault of a kind. */
export type Maker = (scene: Scene, random: Random) => Fault;

/** Names of the members' places in the network. */
export const MEMBERS = ["member0", "member1", "member2"] as const;

/**
 * An answer is waited for less long than that. What is held up so long comes as late as it can: when nobody
 * waits for it any more.
 */
export const STALL_MS = 5500;

/** Longer than the lease lives by which a host shows that it is there. */
export const FORGOTTEN_MS = 11_500;

/** For faults that are over at once. */
export const nothing = () => {};

/** Whoever was cut off hears of etcd again within that, also on a busy machine. */
export const PATIENCE_MS = 180_000;

/** Tries again: what is cut or stopped comes back. */
export async function patiently(what: string, task: () => Promise<unknown>): Promise<void> {
  await until(what, async () => {
    try {
      await task();
      return true;
    } catch (error) {
      if (error instanceof Error) return false;
      throw error;
    }
  }, PATIENCE_MS);
}
