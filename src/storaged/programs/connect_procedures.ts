import { ErrorDomain, internalError, RpcFailure, unsupportedFlags } from "../../chassis/wire/rpc_error.ts";
import { decodeParams } from "../../chassis/wire/typed_param.ts";
import {
  ConnectProcedure,
  IDENTITY_PARAMS_MAX,
  readOptionalPool,
  REMOTE_STRING_MAX,
} from "../wire/remote_protocol.ts";
import { authFailure, type Authority, AuthType } from "./authentication.ts";
import { identityOf } from "./identity_params.ts";
import { openUri } from "./open_uri.ts";
import type { PoolEvents } from "./pool_events.ts";
import {
  answerTo,
  opened,
  readOnlyRefusal,
  type StorageProcedure,
  type StorageProcedures,
  type StorageSession,
} from "./storage_session.ts";

const OPEN_READ_ONLY = 1;
const FEATURE_KEEPALIVE = 10;
/** Of the features that a client asks for: descriptors, events by callback, and the close callback. */
const FEATURES: readonly number[] = [8, FEATURE_KEEPALIVE, 14, 15];
const AUTH_FAILED = 45;

/** What the connection's procedures need. */
export interface ConnectParts {
  readonly authority: Authority;
  readonly events: PoolEvents;
  /** Whether this is the host's daemon, and not that of a session. */
  readonly privileged: boolean;
  /** Of this program: major * 1000000 + minor * 1000 + release. */
  readonly version: number;
}

/** Procedures that a client may call before it has proved that it may be served. */
export function authProcedures({ authority }: Pick<ConnectParts, "authority">): StorageProcedures {
  const sasl: StorageProcedure["run"] = (_session, _args, reply) =>
    reply.fail(
      new RpcFailure(
        AUTH_FAILED,
        ErrorDomain.RPC,
        "authentication failed",
        "authentication failed",
        undefined,
      ),
    );
  return [
    [ConnectProcedure.AUTH_LIST, {
      name: "AuthList",
      run({ client }, _args, reply) {
        const method = authority.methodFor(client);
        // libvirt's clients ask for nothing more where nothing is wanted of them.
        if (method === "none") client.authenticate();
        reply.ok((writer) => {
          writer.u32(1);
          writer.i32(method === "none" ? AuthType.NONE : AuthType.POLKIT);
        });
      },
    }],
    [ConnectProcedure.AUTH_SASL_INIT, { name: "AuthSaslInit", run: sasl }],
    [ConnectProcedure.AUTH_SASL_START, { name: "AuthSaslStart", run: sasl }],
    [ConnectProcedure.AUTH_SASL_STEP, { name: "AuthSaslStep", run: sasl }],
    [ConnectProcedure.AUTH_POLKIT, {
      name: "AuthPolkit",
      run(session, _args, reply) {
        const { client } = session;
        if (authority.methodFor(client) !== "polkit" || client.authenticated || session.authenticating) {
          return reply.fail(authFailure({ kind: "denied" }));
        }
        session.authenticating = true;
        authority.ask(client, (verdict) => {
          session.authenticating = false;
          if (verdict.kind !== "granted") return reply.fail(authFailure(verdict));
          client.authenticate();
          reply.ok((writer) => writer.i32(1));
        });
      },
    }],
  ];
}

/** Procedures of the connection itself. */
export function connectProcedures({ authority, privileged, version }: ConnectParts): StorageProcedures {
  return [
    [ConnectProcedure.OPEN, {
      name: "ConnectOpen",
      run(session, args, reply) {
        const name = args.optionalString(REMOTE_STRING_MAX);
        const flags = args.u32();
        if (session.uri !== undefined) {
          return reply.fail(internalError(ErrorDomain.RPC, "connection already open"));
        }
        // The other flags are the client's own: how it found this socket, for a user's session for instance.
        const result = openUri(name, privileged);
        if (result.kind === "refused") return reply.fail(result.failure);
        session.service.open((outcome) => {
          if (outcome.kind === "refused") return reply.fail(outcome.failure);
          if ((flags & OPEN_READ_ONLY) !== 0) session.client.restrict();
          session.uri = result.uri;
          reply.ok();
        });
      },
    }],
    [ConnectProcedure.CLOSE, { name: "ConnectClose", run: (_session, _args, reply) => reply.okAndClose() }],
    [ConnectProcedure.SUPPORTS_FEATURE, {
      name: "ConnectSupportsFeature",
      run({ client }, args, reply) {
        const feature = args.i32();
        if (feature === FEATURE_KEEPALIVE) client.keepAlive();
        reply.ok((writer) => writer.i32(FEATURES.includes(feature) ? 1 : 0));
      },
    }],
    opened(ConnectProcedure.GET_TYPE, "ConnectGetType", (_session, _args, reply) => {
      reply.ok((writer) => writer.string("storage"));
    }),
    opened(ConnectProcedure.GET_URI, "ConnectGetURI", ({ uri }, _args, reply) => {
      reply.ok((writer) => writer.string(uri ?? ""));
    }),
    opened(ConnectProcedure.IS_SECURE, "ConnectIsSecure", (_session, _args, reply) => {
      reply.ok((writer) => writer.i32(1));
    }),
    opened(ConnectProcedure.GET_LIB_VERSION, "ConnectGetLibVersion", (_session, _args, reply) => {
      reply.ok((writer) => writer.u64Number(version));
    }),
    opened(ConnectProcedure.GET_CAPABILITIES, "ConnectGetCapabilities", ({ service }, _args, reply) => {
      service.capabilities(answerTo(reply, (writer, text) => writer.string(text)));
    }),
    opened(ConnectProcedure.SET_IDENTITY, "ConnectSetIdentity", (session, args, reply) => {
      const params = decodeParams(args, IDENTITY_PARAMS_MAX, REMOTE_STRING_MAX);
      const flags = args.u32();
      const { client } = session;
      // virtproxyd and virtqemud come to the read-only socket too, for clients of their own that only look.
      if (client.readOnly && !authority.trusts(client)) {
        return reply.fail(readOnlyRefusal("virConnectSetIdentity"));
      }
      if (flags !== 0) return reply.fail(unsupportedFlags(ErrorDomain.RPC, flags, "virConnectSetIdentity"));
      const identity = identityOf(params);
      if (identity instanceof RpcFailure) return reply.fail(identity);
      session.identity = identity;
      reply.ok();
    }),
  ];
}

/** Procedures that ask to be told of something. */
export function callbackProcedures({ events }: Pick<ConnectParts, "events">): StorageProcedures {
  const closing = (
    number: number,
    name: string,
    wanted: boolean,
    wrong: string,
  ): readonly [number, StorageProcedure] =>
    opened(number, name, (session: StorageSession, _args, reply) => {
      if (session.closeCallback === wanted) return reply.fail(internalError(ErrorDomain.RPC, wrong));
      session.closeCallback = wanted;
      reply.ok();
    });
  return [
    closing(
      ConnectProcedure.REGISTER_CLOSE_CALLBACK,
      "ConnectRegisterCloseCallback",
      true,
      "connection close callback already registered",
    ),
    closing(
      ConnectProcedure.UNREGISTER_CLOSE_CALLBACK,
      "ConnectUnregisterCloseCallback",
      false,
      "connection close callback not registered",
    ),
    opened(
      ConnectProcedure.POOL_EVENT_REGISTER_ANY,
      "ConnectStoragePoolEventRegisterAny",
      ({ client }, args, reply) => {
        const event = args.i32();
        const callback = events.register(client, event, readOptionalPool(args));
        if (callback instanceof RpcFailure) return reply.fail(callback);
        reply.ok((writer) => writer.i32(callback));
      },
    ),
    opened(
      ConnectProcedure.POOL_EVENT_DEREGISTER_ANY,
      "ConnectStoragePoolEventDeregisterAny",
      ({ client }, args, reply) => {
        const failure = events.deregister(client, args.i32());
        if (failure !== undefined) return reply.fail(failure);
        reply.ok();
      },
    ),
  ];
}
