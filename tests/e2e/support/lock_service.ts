import type { Runner } from "./command.ts";
import type { Machine } from "./nspawn.ts";
import { until } from "../../support/until.ts";

/** What the tests look at in `virtlockd status --json`. */
export interface DaemonStatus {
  version: string;
  pid: number;
  reExecs: number;
}

/**
 * What the daemon of a machine says of itself, as soon as it answers: a command that asks it while it starts,
 * or executes itself anew, on a busy machine gives up after some seconds.
 */
export async function statusOf<Status>(machine: Runner): Promise<Status> {
  const text = await until("virtlockd to answer", async () => {
    const { code, stdout } = await machine.run(["virtlockd", "status", "--json"]);
    return code === 0 && stdout;
  });
  return JSON.parse(text) as Status;
}

/** How a machine's membership in its cluster is doing, as its daemon says. */
export interface Membership {
  readonly state: string;
  readonly reason?: string;
}

/** Asks the daemon of a machine that is a host of a cluster. */
export async function membershipOf(machine: Runner): Promise<Membership> {
  return (await statusOf<{ sections: { cluster: Membership } }>(machine)).sections.cluster;
}

/** Waits until a machine is a member of its cluster, and has nothing to complain of. */
export async function untilMember(machine: Runner): Promise<void> {
  await until("the host to be a member", async () => {
    const { state, reason } = await membershipOf(machine);
    return state === "live" && reason === undefined;
  });
}

/** The unit virtlockd.service of a machine, with our daemon or libvirt's in it. */
export class LockService {
  readonly #machine: Machine;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Properties of the unit as `systemctl show` has them. */
  async properties<Name extends string>(...names: Name[]): Promise<Record<Name, string>> {
    const asked = names.map((name) => `--property=${name}`).join(" ");
    const lines = (await this.#machine.sh(`systemctl show ${asked} virtlockd.service`)).trimEnd().split("\n");
    const said = new Map(lines.map((line) => {
      const end = line.indexOf("=");
      return [line.slice(0, end), line.slice(end + 1)];
    }));
    const properties: Partial<Record<Name, string>> = {};
    for (const name of names) properties[name] = said.get(name) ?? "";
    return properties as Record<Name, string>;
  }

  /** Process id of the daemon, as the machine sees it; 0 when it does not run. */
  async pid(): Promise<number> {
    return Number((await this.properties("MainPID")).MainPID);
  }

  /** What our daemon says of itself. */
  async status(): Promise<DaemonStatus> {
    return await statusOf<DaemonStatus>(this.#machine);
  }

  /** `systemctl reload`, and waits until our daemon has executed its program anew. */
  async reload(): Promise<void> {
    const { reExecs } = await this.status();
    await this.#machine.sh("systemctl reload virtlockd.service");
    await until("the re-exec", async () => (await this.status()).reExecs === reExecs + 1);
  }

  /** Waits until the service manager has been told this: seconds after it is so, to spare that. */
  async untilTold(status: string): Promise<void> {
    await until(`the status of virtlockd.service to be ${status}`, async () => {
      return (await this.properties("StatusText")).StatusText === status;
    });
  }

  /** Waits until the unit is in a state such as "active". */
  async untilState(state: string): Promise<void> {
    await until(`virtlockd.service to be ${state}`, async () => {
      return (await this.properties("ActiveState")).ActiveState === state;
    });
  }
}
