import { AdminProcedure } from "../../../src/chassis/wire/admin_protocol.ts";
import { setLogging, withFlags } from "../support/admin_requests.ts";
import {
  type Conversation,
  invalid,
  ok,
  type Reply,
  system,
  unknownFlags,
  xdr,
} from "../support/conversation.ts";

const { GET_LOGGING_OUTPUTS, GET_LOGGING_FILTERS, SET_LOGGING_OUTPUTS, SET_LOGGING_FILTERS } = AdminProcedure;

/** Log outputs and filters of a running daemon. */
export const logging: Conversation = {
  about: "admin requests about logging",
  socket: "/run/libvirt/virtlockd-admin-sock",
  steps: [
    {
      says: "outputs of the background without journald",
      request: withFlags(GET_LOGGING_OUTPUTS),
      reply: outputs("3:file:/var/log/libvirt/virtlockd.log", 1),
    },
    {
      says: "flags of GET_LOGGING_OUTPUTS",
      request: withFlags(GET_LOGGING_OUTPUTS, 1),
      reply: unknownFlags(62, "0x1", "adminConnectGetLoggingOutputs"),
    },
    {
      says: "outputs of all kinds",
      request: setLogging(SET_LOGGING_OUTPUTS, "4:stderr 3:syslog:abc  2:file:/run/other.log"),
      reply: ok(),
    },
    {
      says: "outputs as set",
      request: withFlags(GET_LOGGING_OUTPUTS),
      reply: outputs("4:stderr 3:syslog:abc 2:file:/run/other.log", 3),
    },
    {
      says: "destination that is none",
      request: setLogging(SET_LOGGING_OUTPUTS, "4:stderr 1:none"),
      reply: invalid(0, "Invalid log destination 'none' for log output '1:none'"),
    },
    {
      says: "priority 7",
      request: setLogging(SET_LOGGING_OUTPUTS, "7:stderr"),
      reply: invalid(0, "Invalid log priority '7' for log output '7:stderr'"),
    },
    {
      says: "output without a priority",
      request: setLogging(SET_LOGGING_OUTPUTS, "stderr"),
      reply: invalid(0, "Malformed format for log output 'stderr'"),
    },
    {
      says: "syslog without an identity",
      request: setLogging(SET_LOGGING_OUTPUTS, "1:syslog"),
      reply: invalid(
        0,
        "Log output '1:syslog' does not meet the format requirements for destination type 'syslog'",
      ),
    },
    {
      says: "stderr with an argument",
      request: setLogging(SET_LOGGING_OUTPUTS, "1:stderr:x"),
      reply: invalid(
        0,
        "Log output '1:stderr:x' does not meet the format requirements for destination type 'stderr'",
      ),
    },
    {
      says: "file in no directory",
      request: setLogging(SET_LOGGING_OUTPUTS, "1:file:/run/none/x"),
      reply: system(0, "failed to open /run/none/x: No such file or directory", 2),
    },
    {
      says: "outputs as before the mistakes",
      request: withFlags(GET_LOGGING_OUTPUTS),
      reply: outputs("4:stderr 3:syslog:abc 2:file:/run/other.log", 3),
    },
    { says: "no outputs", request: setLogging(SET_LOGGING_OUTPUTS, ""), reply: ok() },
    {
      says: "outputs as at the start",
      request: withFlags(GET_LOGGING_OUTPUTS),
      reply: outputs("3:file:/var/log/libvirt/virtlockd.log", 1),
    },
    { says: "null outputs", request: setLogging(SET_LOGGING_OUTPUTS, undefined), reply: ok() },
    {
      says: "flags of SET_LOGGING_OUTPUTS",
      request: setLogging(SET_LOGGING_OUTPUTS, "", 1),
      reply: unknownFlags(62, "0x1", "adminConnectSetLoggingOutputs"),
    },

    { says: "no filters", request: withFlags(GET_LOGGING_FILTERS), reply: filters(undefined, 0) },
    {
      says: "flags of GET_LOGGING_FILTERS",
      request: withFlags(GET_LOGGING_FILTERS, 1),
      reply: unknownFlags(62, "0x1", "adminConnectGetLoggingFilters"),
    },
    { says: "two filters", request: setLogging(SET_LOGGING_FILTERS, "2:a  3:b"), reply: ok() },
    { says: "filters as set", request: withFlags(GET_LOGGING_FILTERS), reply: filters("2:*a* 3:*b* ", 2) },
    {
      says: "filter of priority 9",
      request: setLogging(SET_LOGGING_FILTERS, "9:x"),
      reply: invalid(0, "Invalid priority '9' for filter '9:x'"),
    },
    {
      says: "filter without a priority",
      request: setLogging(SET_LOGGING_FILTERS, "x"),
      reply: invalid(0, "Malformed format for filter 'x'"),
    },
    {
      says: "filter without a match",
      request: setLogging(SET_LOGGING_FILTERS, "1:"),
      reply: invalid(0, "Invalid match string ''"),
    },
    {
      says: "filters as before the mistakes",
      request: withFlags(GET_LOGGING_FILTERS),
      reply: filters("2:*a* 3:*b* ", 2),
    },
    { says: "filter with its own stars", request: setLogging(SET_LOGGING_FILTERS, "1:*lock*"), reply: ok() },
    {
      says: "filter with its own stars as set",
      request: withFlags(GET_LOGGING_FILTERS),
      reply: filters("1:**lock** ", 1),
    },
    { says: "null filters", request: setLogging(SET_LOGGING_FILTERS, undefined), reply: ok() },
    { says: "filters are gone", request: withFlags(GET_LOGGING_FILTERS), reply: filters(undefined, 0) },
    {
      says: "flags of SET_LOGGING_FILTERS",
      request: setLogging(SET_LOGGING_FILTERS, "", 1),
      reply: unknownFlags(62, "0x1", "adminConnectSetLoggingFilters"),
    },
  ],
};

function outputs(text: string, count: number): Reply {
  return ok(
    xdr((writer) => {
      writer.string(text);
      writer.u32(count);
    }).toHex(),
  );
}

function filters(text: string | undefined, count: number): Reply {
  return ok(
    xdr((writer) => {
      writer.optionalString(text);
      writer.u32(count);
    }).toHex(),
  );
}
