import {
  ErrorDomain,
  internalError,
  operationDenied,
  type RpcFailure,
} from "../../chassis/wire/rpc_error.ts";
import type { XdrReader } from "../../chassis/wire/xdr_reader.ts";
import type { XdrWriter } from "../../chassis/wire/xdr_writer.ts";
import type { Answer, Caller, StorageService } from "../model/storage_service.ts";
import type { ClientLink, StreamReply } from "../rpc/client_link.ts";

/** VIR_FROM_STORAGE: the domain of what a client may not do. */
const STORAGE_DOMAIN = 18;

/** What a connection has told of itself. */
export interface ClientIdentity {
  readonly pid: number | undefined;
  readonly uid: number | undefined;
}

/** One client's use of the remote program. */
export class StorageSession {
  readonly client: ClientLink;
  readonly service: StorageService;
  /** URI that it has opened; undefined before. */
  uri: string | undefined;
  /** Whether it wants to be told when the connection is closed. */
  closeCallback = false;
  /** For whom a daemon speaks that forwards calls. */
  identity: ClientIdentity = { pid: undefined, uid: undefined };
  /** Whether its authentication is under way. */
  authenticating = false;

  constructor(client: ClientLink, service: StorageService) {
    this.client = client;
    this.service = service;
  }

  /** For whom its jobs run. */
  get caller(): Caller {
    const { pid, uid, clientId } = this.client;
    return { pid: this.identity.pid ?? pid, uid: this.identity.uid ?? uid, client: String(clientId) };
  }
}

/** One procedure of the remote program. Throws XdrError for arguments that do not decode. */
export interface StorageProcedure {
  readonly name: string;
  run(session: StorageSession, args: XdrReader, reply: StreamReply): void;
}

/** Procedures by number. */
export type StorageProcedures = readonly (readonly [number, StorageProcedure])[];

/** A procedure of those who have opened a connection. */
export function opened(
  number: number,
  name: string,
  run: StorageProcedure["run"],
): readonly [number, StorageProcedure] {
  return [number, {
    name,
    run(session, args, reply) {
      if (session.uri === undefined) return reply.fail(internalError(ErrorDomain.RPC, "connection not open"));
      run(session, args, reply);
    },
  }];
}

/**
 * A procedure that changes something, and so is refused to those who may only look.
 *
 * @param api libvirt's name of the function: it is in the message
 */
export function changing(
  number: number,
  name: string,
  api: string,
  run: StorageProcedure["run"],
): readonly [number, StorageProcedure] {
  return opened(number, name, (session, args, reply) => {
    if (session.client.readOnly) return reply.fail(readOnlyRefusal(api));
    run(session, args, reply);
  });
}

/** Refuses what those who may only look may not do. */
export function readOnlyRefusal(api: string): RpcFailure {
  return operationDenied(STORAGE_DOMAIN, `read only access prevents ${api}`);
}

/** Gives what the storage core answers to the client. */
export function answerTo<T>(
  reply: StreamReply,
  write: (writer: XdrWriter, value: T) => void,
): Answer<T> {
  return (outcome) => {
    if (outcome.kind === "refused") return reply.fail(outcome.failure);
    reply.ok((writer) => write(writer, outcome.value));
  };
}

/** As {@link answerTo}, where the reply is empty. */
export function answerDone(reply: StreamReply): Answer<void> {
  return (outcome) => outcome.kind === "refused" ? reply.fail(outcome.failure) : reply.ok();
}
