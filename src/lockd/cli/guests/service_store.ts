import { SYSTEMCTL } from "../../../chassis/systemd/unit.ts";
import { type ShownStore, shownStore, storeQuery } from "../../../chassis/systemd/shown_store.ts";

/** How long systemctl may take, in ms; usually it answers in 20. */
const PATIENCE_MS = 5000;

/**
 * What systemd says of a unit's store.
 *
 * @returns undefined when it says nothing: the check that asks has something to go on without
 */
export async function serviceStore(unit: string): Promise<ShownStore | undefined> {
  // Only when it is needed: the daemon, which is the same program, would start later for it.
  const { execFile } = await import("node:child_process");
  const { promise, resolve } = Promise.withResolvers<ShownStore | undefined>();
  execFile(SYSTEMCTL, storeQuery(unit), { timeout: PATIENCE_MS }, (error, output) => {
    resolve(error === null ? shownStore(output) : undefined);
  });
  return await promise;
}
