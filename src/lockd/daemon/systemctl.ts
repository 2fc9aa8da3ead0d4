import { askProgram } from "../../chassis/children/asked_program.ts";
import type { ProgramResult } from "../../os/program_result.ts";
import { type ShownStore, shownStore, storeQuery } from "../../chassis/systemd/shown_store.ts";
import { SYSTEMCTL } from "../../chassis/systemd/unit.ts";
import type { Daemon } from "./daemon.ts";

/** What systemd says of the service's store. */
export type LearntStore =
  | ({ readonly kind: "known" } & ShownStore)
  | { readonly kind: "unknown"; readonly reason: string };

/** What systemd is asked with. */
export type Asker = Pick<Daemon, "sys" | "loop" | "ledger"> & {
  readonly storage: Pick<Daemon["storage"], "handover" | "run">;
};

/**
 * Runs systemctl while everybody is served.
 *
 * @param limit milliseconds after which it is given up
 * @param done called once, never before this function has returned
 */
export function askSystemctl(
  { sys, loop, ledger, storage }: Asker,
  env: readonly string[],
  args: readonly string[],
  limit: number,
  done: (result: ProgramResult) => void,
): void {
  const argv = [SYSTEMCTL, ...args];
  // A child of this process would not even start while storage hangs on which it has locks.
  if (storage.handover === undefined) askProgram({ sys, loop, ledger, env, limit }, SYSTEMCTL, argv, done);
  else storage.run(SYSTEMCTL, argv, limit, done);
}

/** What the answer to {@link storeQuery} says, or why it says nothing. */
export function readShownStore(result: ProgramResult): ShownStore | string {
  if (result.kind === "failed") return result.reason;
  const shown = result.code === 0 ? shownStore(result.output) : undefined;
  return shown ?? `systemctl ended with code ${result.code}: ${result.output.trim().split("\n")[0]}`;
}

/** How long systemd may take to say how many descriptors it keeps, in ms. */
const LIMIT_MS = 10_000;

/** Asks what systemd keeps for a unit. */
export function learnStore(
  asker: Asker,
  env: readonly string[],
  unit: string,
  done: (store: LearntStore) => void,
): void {
  askSystemctl(asker, env, storeQuery(unit), LIMIT_MS, (result) => {
    const shown = readShownStore(result);
    done(
      typeof shown === "string"
        ? { kind: "unknown", reason: `systemctl show ${unit} does not answer: ${shown}` }
        : { kind: "known", ...shown },
    );
  });
}
