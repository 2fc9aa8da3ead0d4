import { AdminProcedure } from "../../../src/chassis/wire/admin_protocol.ts";
import { ParamType, type TypedParam } from "../../../src/chassis/wire/typed_param.ts";
import { aboutServer, setParams } from "../support/admin_requests.ts";
import {
  type Conversation,
  failure,
  invalid,
  ok,
  type Reply,
  rpc,
  unknownFlags,
  xdr,
} from "../support/conversation.ts";

const { GET_THREADPOOL_PARAMETERS, SET_THREADPOOL_PARAMETERS, GET_CLIENT_LIMITS, SET_CLIENT_LIMITS } =
  AdminProcedure;
const NO_SERVER = failure(95, 7, "Server not found: ", "No server named 'none'");
const NO_SERVER_TO_SET = failure(95, 62, "Server not found: ", "no server with matching name 'none' found");
const UNAUTH_OVER_MAX = invalid(
  7,
  "The overall maximum number of clients waiting for authentication must not be less than the overall maximum number " +
    "of clients",
);
/** Numbers of workers and clients. */
export const limits: Conversation = {
  about: "admin requests about limits",
  socket: "/run/libvirt/virtlockd-admin-sock",
  steps: [
    {
      says: "GET_THREADPOOL_PARAMETERS",
      request: aboutServer(GET_THREADPOOL_PARAMETERS, "virtlockd"),
      reply: workers({}),
    },
    {
      says: "GET_THREADPOOL_PARAMETERS of none, with flags",
      request: aboutServer(GET_THREADPOOL_PARAMETERS, "none", 1),
      reply: NO_SERVER,
    },
    {
      says: "flags of GET_THREADPOOL_PARAMETERS",
      request: aboutServer(GET_THREADPOOL_PARAMETERS, "virtlockd", 1),
      reply: unknownFlags(62, "0x1", "adminServerGetThreadPoolParameters"),
    },
    {
      says: "maxWorkers 5",
      request: setParams(SET_THREADPOOL_PARAMETERS, "virtlockd", [uint("maxWorkers", 5)]),
      reply: invalid(0, "maxWorkers must not be switched from zero to non-zero and vice versa"),
    },
    {
      says: "maxWorkers 0",
      request: setParams(SET_THREADPOOL_PARAMETERS, "virtlockd", [uint("maxWorkers", 0)]),
      reply: ok(),
    },
    {
      says: "minWorkers 1",
      request: setParams(SET_THREADPOOL_PARAMETERS, "virtlockd", [uint("minWorkers", 1)]),
      reply: invalid(0, "minWorkers cannot be larger than maxWorkers"),
    },
    {
      says: "prioWorkers 1",
      request: setParams(SET_THREADPOOL_PARAMETERS, "virtlockd", [uint("prioWorkers", 1)]),
      reply: ok(),
    },
    {
      says: "threadpool as set",
      request: aboutServer(GET_THREADPOOL_PARAMETERS, "virtlockd"),
      reply: workers({ prioWorkers: 1 }),
      ours: {
        reply: workers({}),
        reason: "libvirt tells the number it was given, though it starts no worker",
      },
    },
    {
      says: "a number that cannot be set",
      request: setParams(SET_THREADPOOL_PARAMETERS, "virtlockd", [uint("nWorkers", 1)]),
      reply: failure(74, 0, "argument unsupported: ", "parameter 'nWorkers' not supported"),
    },
    {
      says: "a parameter of another type",
      request: setParams(SET_THREADPOOL_PARAMETERS, "virtlockd", [
        { field: "maxWorkers", type: ParamType.STRING, value: "0" },
      ]),
      reply: invalid(0, "invalid type 'string' for parameter 'maxWorkers', expected 'uint'"),
    },
    {
      says: "a parameter twice",
      request: setParams(SET_THREADPOOL_PARAMETERS, "virtlockd", [
        uint("maxWorkers", 0),
        uint("maxWorkers", 0),
      ]),
      reply: invalid(0, "parameter 'maxWorkers' occurs multiple times"),
    },
    {
      says: "no parameter",
      request: setParams(SET_THREADPOOL_PARAMETERS, "virtlockd", []),
      reply: ok(),
    },
    {
      says: "33 parameters",
      request: setParams(
        SET_THREADPOOL_PARAMETERS,
        "virtlockd",
        Array.from({ length: 33 }, () => uint("maxWorkers", 0)),
      ),
      reply: rpc("Unable to decode message payload"),
    },
    {
      says: "flags of SET_THREADPOOL_PARAMETERS before its parameters",
      request: setParams(SET_THREADPOOL_PARAMETERS, "virtlockd", [uint("none", 0)], 1),
      reply: unknownFlags(62, "0x1", "adminServerSetThreadPoolParameters"),
    },
    {
      says: "SET_THREADPOOL_PARAMETERS of none",
      request: setParams(SET_THREADPOOL_PARAMETERS, "none", [uint("none", 0)]),
      reply: NO_SERVER_TO_SET,
    },

    {
      says: "GET_CLIENT_LIMITS",
      request: aboutServer(GET_CLIENT_LIMITS, "virtlockd"),
      reply: params({ nclients_max: 1024, nclients: 0, nclients_unauth_max: 1024, nclients_unauth: 0 }),
    },
    {
      says: "GET_CLIENT_LIMITS of the admin server",
      request: aboutServer(GET_CLIENT_LIMITS, "admin"),
      reply: params({ nclients_max: 5000, nclients: 1, nclients_unauth_max: 5000, nclients_unauth: 0 }),
    },
    {
      says: "flags of GET_CLIENT_LIMITS",
      request: aboutServer(GET_CLIENT_LIMITS, "virtlockd", 1),
      reply: unknownFlags(62, "0x1", "adminServerGetClientLimits"),
    },
    {
      says: "nclients_max below nclients_unauth_max",
      request: setParams(SET_CLIENT_LIMITS, "virtlockd", [uint("nclients_max", 100)]),
      reply: UNAUTH_OVER_MAX,
    },
    {
      says: "both limits",
      request: setParams(SET_CLIENT_LIMITS, "virtlockd", [
        uint("nclients_max", 100),
        uint("nclients_unauth_max", 50),
      ]),
      reply: ok(),
    },
    {
      says: "nclients_unauth_max above nclients_max",
      request: setParams(SET_CLIENT_LIMITS, "virtlockd", [uint("nclients_unauth_max", 101)]),
      reply: UNAUTH_OVER_MAX,
    },
    {
      says: "limits as set",
      request: aboutServer(GET_CLIENT_LIMITS, "virtlockd"),
      reply: params({ nclients_max: 100, nclients: 0, nclients_unauth_max: 50, nclients_unauth: 0 }),
    },
    {
      says: "a limit that cannot be set",
      request: setParams(SET_CLIENT_LIMITS, "virtlockd", [uint("nclients", 1)]),
      reply: failure(74, 0, "argument unsupported: ", "parameter 'nclients' not supported"),
    },
    {
      says: "flags of SET_CLIENT_LIMITS",
      request: setParams(SET_CLIENT_LIMITS, "virtlockd", [uint("nclients_max", 100)], 4),
      reply: unknownFlags(62, "0x4", "adminServerSetClientLimits"),
    },
    {
      says: "SET_CLIENT_LIMITS of none",
      request: setParams(SET_CLIENT_LIMITS, "none", [uint("nclients_max", 100)]),
      reply: NO_SERVER_TO_SET,
    },
  ],
};

function uint(field: string, value: number): TypedParam {
  return { field, type: ParamType.UINT, value };
}

/** The reply to GET_THREADPOOL_PARAMETERS; what is not given is 0. */
function workers({ prioWorkers = 0 }): Reply {
  return params({ minWorkers: 0, maxWorkers: 0, nWorkers: 0, freeWorkers: 0, prioWorkers, jobQueueDepth: 0 });
}

/** A reply of unsigned numbers, in this order. */
function params(values: Readonly<Record<string, number>>): Reply {
  const entries = Object.entries(values);
  return ok(
    xdr((writer) => {
      writer.u32(entries.length);
      for (const [field, value] of entries) {
        writer.string(field);
        writer.u32(2);
        writer.u32(value);
      }
    }).toHex(),
  );
}
