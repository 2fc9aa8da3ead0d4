import { fields, listOf, number, oneOf, optional, type Shape, text } from "../../base/shape.ts";
import type { ClientDocument, JobDocument, StatusDocument } from "./documents.ts";

// What commands make of the documents of a daemon, which may be of another version.

/** GET_STATUS. */
export const STATUS: Shape<StatusDocument> = fields({
  version: text,
  pid: number,
  started: number,
  servers: listOf(fields({ name: text, clients: number, clientsMax: number })),
  streams: number,
  jobs: number,
  pools: fields({ active: number, inactive: number, hung: listOf(text) }),
  helpers: number,
  idleTimeout: number,
});

/** LIST_JOBS. */
export const JOBS: Shape<JobDocument[]> = listOf(fields({
  id: number,
  kind: text,
  pool: text,
  volume: optional(text),
  state: oneOf({ waiting: true, running: true, hung: true }),
  since: number,
  done: optional(number),
  total: optional(number),
  client: text,
  pid: number,
  uid: number,
}));

/** LIST_CLIENTS. */
export const CLIENTS: Shape<ClientDocument[]> = listOf(fields({
  id: number,
  pid: number,
  uid: number,
  connected: number,
  access: oneOf({ everything: true, look: true, nothing: true }),
  calls: number,
  streams: number,
}));

/** What CANCEL_JOB answers: the job that ends. */
export const CANCELLED: Shape<{ readonly job: number }> = fields({ job: number });
