import { asProgram, type Program, type Reply } from "../../chassis/rpc/program.ts";
import { ErrorDomain, operationInvalid, unsupportedFlags } from "../../chassis/wire/rpc_error.ts";
import type { StorageService } from "../model/storage_service.ts";
import {
  decodeStatusArgs,
  STATUS_MAX_PAYLOAD,
  STATUS_PROGRAM,
  STATUS_VERSION,
  StatusProcedure,
} from "../wire/status_protocol.ts";
import type { CallCounts } from "./call_counts.ts";
import { type ClientDocument, jobDocument, type StatusDocument } from "./documents.ts";
import { metricsText } from "./metrics_text.ts";

/** What the program tells of, and does. */
export interface StatusParts {
  readonly service: Pick<StorageService, "jobs" | "hungPools" | "cancelJob" | "poolNames">;
  readonly calls: CallCounts;
  /** What is known of the daemon without asking the storage core. */
  readonly facts: () => Omit<StatusDocument, "jobs" | "pools">;
  /** The clients that use storage. */
  readonly clients: () => readonly ClientDocument[];
}

/** The daemon's own program on the admin socket. All but CANCEL_JOB only reads. */
export function statusProgram(parts: StatusParts): Program {
  const { service, calls, clients } = parts;
  const procedure = (name: string, run: (job: number, reply: Reply) => void) => ({
    name,
    run(_session: null, reader: Parameters<typeof decodeStatusArgs>[0], reply: Reply) {
      const { flags, job } = decodeStatusArgs(reader);
      if (flags !== 0) throw unsupportedFlags(ErrorDomain.ADMIN, flags, name);
      run(job, reply);
    },
  });
  const answer = (reply: Reply, document: unknown) =>
    reply.ok((writer) => writer.string(JSON.stringify(document)));
  const jobs = () => service.jobs.map(jobDocument);
  return asProgram<null>({
    name: "status",
    number: STATUS_PROGRAM,
    version: STATUS_VERSION,
    maxPayload: STATUS_MAX_PAYLOAD,
    procedures: new Map([
      [
        StatusProcedure.GET_STATUS,
        procedure("GetStatus", (_job, reply) => withStatus(parts, reply, (status) => answer(reply, status))),
      ],
      [StatusProcedure.LIST_JOBS, procedure("ListJobs", (_job, reply) => answer(reply, jobs()))],
      [
        StatusProcedure.CANCEL_JOB,
        procedure("CancelJob", (job, reply) => {
          if (!service.jobs.some(({ id }) => id === job)) {
            return reply.fail(operationInvalid(ErrorDomain.ADMIN, `there is no job ${job}`));
          }
          if (service.cancelJob(job)) return answer(reply, { job });
          reply.fail(operationInvalid(ErrorDomain.ADMIN, `job ${job} cannot be cancelled`));
        }),
      ],
      [StatusProcedure.LIST_CLIENTS, procedure("ListClients", (_job, reply) => answer(reply, clients()))],
      [
        StatusProcedure.GET_METRICS,
        procedure(
          "GetMetrics",
          (_job, reply) =>
            withStatus(parts, reply, (status) => answer(reply, metricsText(status, jobs(), calls.all))),
        ),
      ],
    ]),
    connect: () => null,
    disconnect: () => {},
  });
}

/** Makes the status, for which the storage core counts its pools. */
function withStatus(
  { service, facts }: StatusParts,
  reply: Reply,
  use: (status: StatusDocument) => void,
): void {
  service.poolNames(true, (active) => {
    if (active.kind === "refused") return reply.fail(active.failure);
    service.poolNames(false, (inactive) => {
      if (inactive.kind === "refused") return reply.fail(inactive.failure);
      const pools = { active: active.value.length, inactive: inactive.value.length, hung: service.hungPools };
      use({ ...facts(), jobs: service.jobs.length, pools });
    });
  });
}
