import type { Machine } from "./nspawn.ts";
import { until } from "../../support/until.ts";

/** What the tests look at in `virtlockd status --json`. */
export interface DaemonStatus {
  version: string;
  pid: number;
  reExecs: number;
}

/** The unit virtlockd.service of a machine, with our daemon or libvirt's in it. */
export class LockService {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Properties of the unit as `systemctl show` has them. */
  async properties<Name extends string>(...names: Name[]): Promise<Record<Name, string>> {
    const properties: Partial<Record<Name, string>> = {};
    for (const name of names) {
      const script = `systemctl show --value --property=${name} virtlockd.service`;
      properties[name] = (await this.#machine.sh(script)).trim();
    }
    return properties as Record<Name, string>;
  }

  /** Process id of the daemon, as the machine sees it; 0 when it does not run. */
  async pid(): Promise<number> {
    return Number((await this.properties("MainPID")).MainPID);
  }

  /** What our daemon says of itself. */
  async status(): Promise<DaemonStatus> {
    return JSON.parse(await this.#machine.sh("virtlockd status --json"));
  }

  /** `systemctl reload`, and waits until our daemon has executed its program anew. */
  async reload(): Promise<void> {
    const { reExecs } = await this.status();
    await this.#machine.sh("systemctl reload virtlockd.service");
    await until("the re-exec", async () => (await this.status()).reExecs === reExecs + 1);
  }

  /** Waits until the unit is in a state such as "active". */
  async untilState(state: string): Promise<void> {
    await until(`virtlockd.service to be ${state}`, async () => {
      return (await this.properties("ActiveState")).ActiveState === state;
    });
  }
}
