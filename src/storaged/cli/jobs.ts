import { type Command, CommandExit } from "../../chassis/cli/command.ts";
import { durationText, table } from "../../chassis/cli/table.ts";
import { quote } from "../../chassis/config/quote.ts";
import { UsageError } from "../../chassis/config/usage_error.ts";
import { CANCELLED, JOBS } from "../status/document_shapes.ts";
import type { JobDocument } from "../status/documents.ts";
import { StatusProcedure } from "../wire/status_protocol.ts";
import { CONNECT_OPTION, JSON_OPTION, jsonText } from "../../chassis/cli/asking.ts";
import { ask } from "./ask.ts";

/** `virtstoraged jobs`: what runs, how far it is and for whom. */
export const jobsCommand: Command = {
  name: "jobs",
  purpose: "Lists what takes its time: what is done with which volume, how far it is, and for whom.",
  options: [
    CONNECT_OPTION,
    JSON_OPTION,
    { name: "cancel", value: "ID", summary: "cancel this job instead; what it has begun is undone" },
  ],
  run(context, args) {
    const cancelled = args.value("cancel");
    if (cancelled !== undefined) {
      if (!/^[1-9]\d{0,8}$/.test(cancelled)) {
        throw new UsageError(`Option --cancel needs the number of a job, got ${quote(cancelled)}`);
      }
      const { CANCEL_JOB } = StatusProcedure;
      ask(context, args, { procedure: CANCEL_JOB, shape: CANCELLED, job: Number(cancelled) });
      context.out.write(`Job ${cancelled} is being cancelled\n`);
      return CommandExit.OK;
    }
    const jobs = ask(context, args, { procedure: StatusProcedure.LIST_JOBS, shape: JOBS });
    context.out.write(
      args.has("json") ? jsonText(jobs) : jobsText(jobs, context.now()),
    );
    return CommandExit.OK;
  },
};

/** The jobs for people. */
export function jobsText(jobs: readonly JobDocument[], now: number): string {
  if (jobs.length === 0) return "No job is under way\n";
  const rows = jobs.map(({ id, kind, pool, volume, state, since, done, total, client, pid, uid }) => [
    String(id),
    kind,
    volume === undefined ? pool : `${pool}/${volume}`,
    state,
    progressText(done, total),
    durationText(Math.max(0, Math.floor((now - since) / 1000))),
    `client ${client}, process ${pid}, uid ${uid}`,
  ]);
  return table(["ID", "WHAT", "OF", "STATE", "DONE", "SINCE", "FOR"], rows);
}

function progressText(done: number | undefined, total: number | undefined): string {
  if (done === undefined) return "-";
  const size = `${(done / (1 << 20)).toFixed(1)} MiB`;
  return total === undefined || total === 0
    ? size
    : `${Math.floor(Math.min(1, done / total) * 100)}% (${size})`;
}
