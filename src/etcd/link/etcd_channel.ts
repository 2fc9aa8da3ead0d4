import {
  type CallOptions,
  type ChannelCredentials,
  Client,
  credentials,
  Metadata,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import type { TlsFiles } from "./certificate_doubts.ts";
import {
  LEASE_GRANT_REQUEST,
  LEASE_KEEP_REQUEST,
  LEASE_RESPONSE,
  WATCH_REQUEST,
  WATCH_RESPONSE,
} from "./etcd_messages.ts";
import { failureOf } from "./failure.ts";
import { decodeMessage, encodeMessage } from "./protobuf.ts";
import {
  behind,
  clusterNumber,
  decodeTransactionResult,
  encodeTransaction,
  message,
} from "./transaction_codec.ts";
import type { Answer, KeyRange, Question } from "../wire/link_messages.ts";
import { decodeDeletes, encodeDeletes } from "./watched_deletes.ts";

/**
 * HTTP/2 pings, in ms: a server that is gone without a word is noticed by them, also by a watch on which
 * nothing comes. etcd ends a connection that pings more often than every 5 s (its
 * `--grpc-keepalive-min-time`), so this is the shortest with a second to spare for a late timer.
 */
const PING_MS = 6000;
/**
 * How long a ping may be without an answer, in ms. A member answers at once, whatever its disk does; what is
 * above that is for a busy network.
 */
const PING_ANSWER_MS = 2000;
/**
 * Longest pause before a member is connected again, in ms. The client's own are up to two minutes, in which a
 * member that is back would not be used; whoever asks for a lock waits seconds.
 */
const RECONNECT_MS = 1000;
/** The first such pause, in ms: a connection that etcd has closed is mostly back at once. */
const FIRST_RECONNECT_MS = 100;
/** A list of 2,000 locks has 600 KB; etcd's own limit of a request is 1.5 MB. */
const LARGEST_ANSWER = 16 * 1024 * 1024;

/** Method that keeps a lease. */
const KEEP_LEASE = "/etcdserverpb.Lease/LeaseKeepAlive";
/** Id that etcd gives to no lease. */
const NO_LEASE = "0";

/** What one member is asked by gRPC. */
export type MemberQuestion = Exclude<Question, { kind: "versions" }>;

/** The connection with one member of etcd. No call is ever repeated by itself. */
export class EtcdChannel {
  readonly #client: Client;
  readonly #doubts: (details: string) => Promise<readonly string[]>;

  /**
   * @param address `NAME:PORT`
   * @param doubts asked when no connection comes about, with what the client says of that: what on this side
   *   may be the reason. It never fails
   */
  constructor(
    address: string,
    channelCredentials: ChannelCredentials,
    doubts: (details: string) => Promise<readonly string[]>,
  ) {
    this.#doubts = doubts;
    this.#client = new Client(address, channelCredentials, {
      "grpc.enable_retries": 0,
      "grpc.keepalive_time_ms": PING_MS,
      "grpc.keepalive_timeout_ms": PING_ANSWER_MS,
      "grpc.keepalive_permit_without_calls": 1,
      "grpc.initial_reconnect_backoff_ms": FIRST_RECONNECT_MS,
      "grpc.max_reconnect_backoff_ms": RECONNECT_MS,
      "grpc.max_receive_message_length": LARGEST_ANSWER,
      "grpc.service_config": "{}",
      "grpc.enable_http_proxy": 0,
    });
  }

  /**
   * @param limitMs how long an answer is waited for
   * @param done called once
   */
  ask(question: MemberQuestion, limitMs: number, done: (answer: Answer) => void): void {
    switch (question.kind) {
      case "transaction":
        return this.#call(
          "/etcdserverpb.KV/Txn",
          encodeTransaction(question.transaction),
          limitMs,
          (bytes) => ({ kind: "transaction", result: decodeTransactionResult(bytes) }),
          done,
        );
      case "grant-lease":
        return this.#call(
          "/etcdserverpb.Lease/LeaseGrant",
          encodeMessage(LEASE_GRANT_REQUEST, { ttl: question.seconds }),
          limitMs,
          decodeLease,
          done,
        );
      case "keep-lease":
        return this.#keepLease(question.lease, limitMs, done);
      case "await-change":
        return this.#awaitChange(question.prefix, question.from, limitMs, done);
      case "await-delete":
        return this.#awaitDelete(question.range, question.from, limitMs, done);
    }
  }

  /**
   * Asks of which etcd it is a member, by keeping a lease that nobody has: whoever has a connection may do
   * that, whatever its user may read.
   *
   * @param done called once with the number of that etcd; undefined: it has not said it
   */
  cluster(limitMs: number, done: (cluster: string | undefined) => void): void {
    let cluster: string | undefined;
    const look = (bytes: Uint8Array): Answer => {
      const { clusterId } = message(decodeMessage(LEASE_RESPONSE, bytes)["header"]);
      if (typeof clusterId === "string") cluster = clusterNumber(clusterId);
      return { kind: "changed" };
    };
    this.#stream(KEEP_LEASE, encodeMessage(LEASE_KEEP_REQUEST, { id: NO_LEASE }), limitMs, look, () => {
      done(cluster);
    });
  }

  close(): void {
    this.#client.close();
  }

  #call(
    method: string,
    request: Uint8Array,
    limitMs: number,
    decode: (bytes: Uint8Array) => Answer,
    done: (answer: Answer) => void,
  ): void {
    this.#client.makeUnaryRequest<Uint8Array, Uint8Array>(
      method,
      asBuffer,
      asBytes,
      request,
      new Metadata(),
      within(limitMs),
      (error, bytes) => {
        if (error !== null) return this.#failed(error, limitMs, done);
        done(bytes === undefined ? unknown("it has sent an answer without content") : read(decode, bytes));
      },
    );
  }

  /** A lease is kept by one message of a stream, which ends behind the answer. */
  #keepLease(lease: string, limitMs: number, done: (answer: Answer) => void): void {
    const request = encodeMessage(LEASE_KEEP_REQUEST, { id: lease });
    this.#stream(KEEP_LEASE, request, limitMs, decodeLease, done);
  }

  /** A watch that is given up at the first change. Its first answer only says that it is there. */
  #awaitChange(prefix: string, from: number, limitMs: number, done: (answer: Answer) => void): void {
    const request = encodeMessage(WATCH_REQUEST, {
      create: { key: prefix, rangeEnd: behind(prefix), startRevision: from },
    });
    const look = (bytes: Uint8Array): Answer | undefined => {
      const { events, canceled } = decodeMessage(WATCH_RESPONSE, bytes);
      const any = canceled === true || (Array.isArray(events) && events.length > 0);
      return any ? { kind: "changed" } : undefined;
    };
    this.#watch(request, limitMs, look, done);
  }

  /** A watch that is given up at the first keys that are deleted. */
  #awaitDelete(range: KeyRange, from: number, limitMs: number, done: (answer: Answer) => void): void {
    this.#watch(encodeDeletes(range, from), limitMs, decodeDeletes, done);
  }

  #watch(
    request: Uint8Array,
    limitMs: number,
    look: (bytes: Uint8Array) => Answer | undefined,
    done: (answer: Answer) => void,
  ): void {
    this.#stream("/etcdserverpb.Watch/Watch", request, limitMs, look, (answer) => {
      // That nothing has changed within the limit is no trouble with this member.
      done(answer.kind === "unknown" && answer.late === true ? { kind: "changed" } : answer);
    });
  }

  /**
   * Asks by one message of a stream, which ends behind the first message that is an answer.
   *
   * A stream that keeps a lease is ended by saying that nothing more comes. etcd goes on with a watch then,
   * so that is cancelled. Deno 2.9.6 ends with a segmentation fault now and then (in its HTTP/2, of links
   * whose connections fail), and what is cancelled is suspected: so nothing is that need not be.
   */
  #stream(
    method: string,
    request: Uint8Array,
    limitMs: number,
    look: (bytes: Uint8Array) => Answer | undefined,
    done: (answer: StreamAnswer) => void,
  ): void {
    const stream = this.#client.makeBidiStreamRequest<Uint8Array, Uint8Array>(
      method,
      asBuffer,
      asBytes,
      new Metadata(),
      within(limitMs),
    );
    let answered = false;
    const once = (answer: StreamAnswer) => {
      if (answered) return;
      answered = true;
      done(answer);
    };
    stream.on("data", (bytes: Uint8Array) => {
      const answer = read(look, bytes);
      if (answer === undefined) return;
      once(answer);
      if (method !== KEEP_LEASE) stream.cancel();
    });
    stream.on("error", (error: ServiceError) => {
      const late = error.code === status.DEADLINE_EXCEEDED ? { late: true } as const : {};
      if (answered) return;
      answered = true;
      this.#failed(error, limitMs, (answer) => done({ ...answer, ...late }));
    });
    stream.on("end", () => once(unknown("it has ended the call without an answer")));
    stream.write(request);
    if (method === KEEP_LEASE) stream.end();
  }

  #failed(error: ServiceError, limitMs: number, done: (answer: Answer) => void): void {
    if (error.code !== status.UNAVAILABLE) return done(failureOf(error, limitMs));
    void this.#doubts(error.details).then((doubts) => done(failureOf(error, limitMs, doubts)));
  }
}

/** `late`: the time was over. */
type StreamAnswer = Answer & { readonly late?: true };

function within(limitMs: number): CallOptions {
  return { deadline: Date.now() + limitMs };
}

/** What the member says, as an answer. Of what cannot be read nothing is known: it may have been done. */
function read<Found extends Answer | undefined>(
  decode: (bytes: Uint8Array) => Found,
  bytes: Uint8Array,
): Found | Extract<Answer, { kind: "unknown" }> {
  try {
    return decode(bytes);
  } catch (error) {
    return unknown(error instanceof Error ? error.message : String(error));
  }
}

function decodeLease(bytes: Uint8Array): Answer {
  const { id, ttl } = decodeMessage(LEASE_RESPONSE, bytes);
  return { kind: "lease", lease: String(id), seconds: Number(ttl) };
}

function unknown(reason: string): Extract<Answer, { kind: "unknown" }> {
  return { kind: "unknown", reason };
}

/** What grpc calls with messages that are bytes already. */
function asBuffer(bytes: Uint8Array): ReturnType<Parameters<Client["makeUnaryRequest"]>[1]> {
  return globalThis.Buffer.from(bytes);
}

function asBytes(bytes: Uint8Array): Uint8Array {
  return bytes;
}

/** Credentials without TLS. */
export function plainCredentials(): ChannelCredentials {
  return credentials.createInsecure();
}

/** Credentials of mutual TLS. @throws Error when they are none */
export function tlsCredentials({ ca, key, cert }: TlsFiles): ChannelCredentials {
  const [caBuffer, keyBuffer, certBuffer] = [ca, key, cert].map(({ bytes }) => globalThis.Buffer.from(bytes));
  return credentials.createSsl(caBuffer, keyBuffer, certBuffer);
}
