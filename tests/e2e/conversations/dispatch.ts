import { ADMIN_PROGRAM } from "../../../src/chassis/wire/admin_protocol.ts";
import { KEEPALIVE_PROGRAM } from "../../../src/chassis/wire/keepalive.ts";
import { LOCK_PROGRAM } from "../../../src/lockd/wire/lock_protocol.ts";
import { closed, type Conversation, ok, pong, rpc, silence, system } from "../support/conversation.ts";
import { createLockspace, lockCall } from "../support/lock_requests.ts";

const NOTHING = new Uint8Array(0);
/** CREATE_LOCKSPACE "" in XDR: an empty string. */
const EMPTY_STRING = Uint8Array.fromHex("00000000");
const LONG = "a".repeat(65531);

/** Header, length, type and payload: everything before a procedure has its say. */
export const dispatch: Conversation = {
  about: "requests that cannot be dispatched",
  socket: "/run/libvirt/virtlockd-sock",
  steps: [
    {
      says: "unknown program",
      request: { program: 0x12345678, procedure: 1, payload: NOTHING },
      reply: rpc("Cannot find program 305419896 version 1"),
    },
    {
      says: "unknown program, not a call",
      request: { program: 0x12345678, procedure: 1, payload: NOTHING, type: 2 },
      reply: silence,
    },
    {
      says: "unknown version",
      request: { program: LOCK_PROGRAM, version: 2, procedure: 1, payload: NOTHING },
      reply: rpc("Cannot find program 245874415 version 2"),
    },
    {
      says: "admin program on the lock socket",
      request: { program: ADMIN_PROGRAM, procedure: 1, payload: EMPTY_STRING },
      reply: rpc("Cannot find program 110102160 version 1"),
    },
    { says: "procedure 0", request: lockCall(0, NOTHING), reply: rpc("unknown procedure: 0") },
    { says: "procedure 9", request: lockCall(9, NOTHING), reply: rpc("unknown procedure: 9") },
    { says: "procedure -1", request: lockCall(-1, NOTHING), reply: rpc("unknown procedure: -1") },
    {
      says: "procedure 2147483647",
      request: lockCall(2147483647, NOTHING),
      reply: rpc("unknown procedure: 2147483647"),
    },
    ...[1, 2, 3, 4, 5, 6, 7, 8].map((procedure) => ({
      says: `no payload for procedure ${procedure}`,
      request: lockCall(procedure, NOTHING),
      reply: rpc("Unable to decode message payload"),
    })),
    {
      says: "half an integer",
      request: lockCall(2, Uint8Array.fromHex("000000")),
      reply: rpc("Unable to decode message payload"),
    },
    {
      says: "string longer than the payload",
      request: lockCall(8, Uint8Array.fromHex("0000000561626364")),
      reply: rpc("Unable to decode message payload"),
    },
    {
      says: "string of 65537 bytes",
      request: createLockspace("/tmp/" + LONG + "b"),
      reply: rpc("Unable to decode message payload"),
    },
    {
      says: "string of 65536 bytes",
      request: createLockspace("/tmp/" + LONG),
      reply: system(51, `Unable to create lockspace /tmp/${LONG}: File name too long`, 36),
    },
    {
      says: "more payload than the procedure takes",
      request: lockCall(8, Uint8Array.fromHex("0000000031323334353637")),
      reply: ok(),
    },
    {
      says: "padding that is not zero",
      request: lockCall(8, Uint8Array.fromHex("000000012f010203")),
      reply: ok(),
    },
    {
      says: "call with status ERROR",
      request: { program: LOCK_PROGRAM, procedure: 8, payload: EMPTY_STRING, status: 1 },
      reply: rpc("Unexpected message status 1"),
    },
    {
      says: "call with status 3",
      request: { program: LOCK_PROGRAM, procedure: 8, payload: EMPTY_STRING, status: 3 },
      reply: rpc("Unexpected message status 3"),
    },
    ...[0, 4294967295].map((serial) => ({
      says: `serial ${serial}`,
      request: { program: LOCK_PROGRAM, procedure: 8, payload: EMPTY_STRING, serial },
      reply: ok(),
    })),
    ...[1, 2, 3, 5, 6, 7, 4294967295].map((type) => ({
      says: `message of type ${type}`,
      client: `type ${type}`,
      request: { program: LOCK_PROGRAM, procedure: 8, payload: EMPTY_STRING, type },
      reply: silence,
    })),
    {
      says: "call that announces no descriptors",
      request: {
        program: LOCK_PROGRAM,
        procedure: 8,
        payload: Uint8Array.fromHex("0000000000000000"),
        type: 4,
      },
      reply: ok(),
    },
    {
      says: "call that announces 33 descriptors",
      client: "33 descriptors",
      request: {
        program: LOCK_PROGRAM,
        procedure: 8,
        payload: Uint8Array.fromHex("0000002100000000"),
        type: 4,
      },
      reply: closed,
    },
    {
      says: "call with descriptors, without their number",
      client: "no number",
      request: { program: LOCK_PROGRAM, procedure: 8, payload: NOTHING, type: 4 },
      reply: closed,
    },
    ...["00000000", "00000003", "02000005", "ffffffff"].map((length) => ({
      says: `length 0x${length}`,
      client: length,
      request: { bytes: Uint8Array.fromHex(length) },
      reply: closed,
    })),
    {
      says: "length 27 with all its bytes",
      client: "27",
      request: { bytes: Uint8Array.fromHex("0000001b" + "00".repeat(23)) },
      reply: closed,
    },
    {
      says: "PING",
      request: { program: KEEPALIVE_PROGRAM, procedure: 1, payload: NOTHING, type: 2, serial: 0 },
      reply: pong,
    },
    {
      says: "PING with a serial and a payload",
      request: { program: KEEPALIVE_PROGRAM, procedure: 1, payload: EMPTY_STRING, type: 2, serial: 7 },
      reply: pong,
    },
    {
      says: "PING as a call",
      request: { program: KEEPALIVE_PROGRAM, procedure: 1, payload: NOTHING },
      reply: rpc("Cannot find program 1801807216 version 1"),
    },
    {
      says: "PING of another version",
      request: { program: KEEPALIVE_PROGRAM, version: 2, procedure: 1, payload: NOTHING, type: 2, serial: 0 },
      reply: silence,
    },
    {
      says: "PONG",
      request: { program: KEEPALIVE_PROGRAM, procedure: 2, payload: NOTHING, type: 2, serial: 0 },
      reply: silence,
    },
    {
      says: "keepalive procedure 3",
      request: { program: KEEPALIVE_PROGRAM, procedure: 3, payload: NOTHING, type: 2, serial: 0 },
      reply: silence,
    },
  ],
};
