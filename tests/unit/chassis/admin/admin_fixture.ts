import { adminProgram } from "../../../../src/chassis/admin/admin_program.ts";
import type { AdministeredClient, AdministeredServer } from "../../../../src/chassis/admin/administered.ts";
import type { ClientLimits } from "../../../../src/chassis/rpc/client_limits.ts";
import type { XdrWriter } from "../../../../src/chassis/wire/xdr_writer.ts";
import { type Answer, call, connected, peer } from "../../lockd/programs/program_fixture.ts";

/** A server with clients of these ids. */
export class FakeServer implements AdministeredServer {
  readonly name: string;
  readonly limits: ClientLimits = { maxClients: 1024, maxAnonymousClients: 1024 };
  readonly clients = new Map<number, AdministeredClient>();
  readonly ended: string[] = [];

  constructor(name: string, ids: readonly number[]) {
    this.name = name;
    for (const id of ids) {
      this.clients.set(id, {
        peer: peer({ clientId: id, security: id === 3 ? "system_u:system_r:virtd_t:s0" : "" }),
        end: (reason) => this.ended.push(`${id}: ${reason}`),
      });
    }
  }

  setLimits(limits: Partial<ClientLimits>): void {
    Object.assign(this.limits, limits);
  }
}

/**
 * A daemon that remembers what was asked of it. Its lock server has clients 1 and 3, its admin server client
 * 9.
 */
export class FakeDaemon {
  readonly lockServer = new FakeServer("virtlockd", [1, 3]);
  readonly adminServer = new FakeServer("admin", [9]);
  readonly done: string[] = [];
  readonly logs = {
    outputsCount: 2,
    filtersCount: 0,
    outputsText: () => "3:stderr 4:file:/x",
    filtersText: () => "1:*a* ",
    setOutputs: (text: string) => void this.done.push(`outputs ${JSON.stringify(text)}`),
    setFilters: (text: string) => void this.done.push(`filters ${JSON.stringify(text)}`),
  };
  readonly #connection = connected(adminProgram(
    {
      servers: () => [this.lockServer, this.adminServer],
      logs: this.logs,
      setIdleTimeout: (seconds) => void this.done.push(`timeout ${seconds}`),
      shutdown: (preserve) => void this.done.push(`shutdown ${preserve}`),
      userName: (uid) => `user${uid}`,
      groupName: (gid) => `group${gid}`,
    },
    "9.0.0",
  ));

  /** Calls a procedure of the admin program. */
  call(procedure: number, encode?: (writer: XdrWriter) => void): Answer {
    return call(this.#connection, procedure, encode);
  }
}

/** A refusal as the tests write it. */
export function refusal(
  code: number,
  domain: number,
  message: string,
): Pick<Answer & { kind: "failed" }, "code" | "domain" | "message"> {
  return { code, domain, message };
}

/** The parts of a refusal that {@link refusal} names. */
export function refused(answer: Answer): unknown {
  if (answer.kind !== "failed") return answer;
  const { code, domain, message } = answer;
  return { code, domain, message };
}
