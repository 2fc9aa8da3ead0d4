import { AdminProcedure } from "../../../src/chassis/wire/admin_protocol.ts";
import {
  closed,
  type Conversation,
  failure,
  internal,
  ok,
  rpc,
  unknownFlags,
} from "../support/conversation.ts";
import {
  aboutClient,
  aboutServer,
  adminCall,
  listClients,
  listServers,
  lookupClient,
  setTimeout,
  withFlags,
} from "../support/admin_requests.ts";
import { createLockspace } from "../support/lock_requests.ts";

const NOTHING = new Uint8Array(0);
const NO_SERVER = failure(95, 7, "Server not found: ", "No server named 'none'");

// XDR: a length, the bytes, padding.
const VIRTLOCKD = "00000009" + "766972746c6f636b64" + "000000";
const ADMIN = "00000005" + "61646d696e" + "000000";
const TIME = "[0-9a-f]{16}";
const ID_1 = "0000000000000001";
const UNIX = "00000000";

/** Connection, servers and clients. */
export const administration: Conversation = {
  about: "admin requests about servers and clients",
  socket: "/run/libvirt/virtlockd-admin-sock",
  sockets: { lock: "/run/libvirt/virtlockd-sock" },
  steps: [
    { says: "a lock client", client: "lock", request: createLockspace(""), reply: ok() },
    { says: "LIST_SERVERS before CONNECT_OPEN", request: listServers(false), reply: ok("0000000000000002") },
    {
      says: "flags of CONNECT_OPEN",
      request: withFlags(AdminProcedure.CONNECT_OPEN, 1),
      reply: unknownFlags(62, "0x1", "adminDispatchConnectOpen"),
    },
    { says: "CONNECT_OPEN", request: withFlags(AdminProcedure.CONNECT_OPEN), reply: ok() },
    { says: "CONNECT_OPEN again", request: withFlags(AdminProcedure.CONNECT_OPEN), reply: ok() },
    {
      says: "lock program on the admin socket",
      request: createLockspace(""),
      reply: rpc("Cannot find program 245874415 version 1"),
    },
    { says: "procedure 0", request: adminCall(0, NOTHING), reply: rpc("unknown procedure: 0") },
    { says: "procedure 21", request: adminCall(21, NOTHING), reply: rpc("unknown procedure: 21") },
    {
      says: "procedure 20 without its payload",
      request: adminCall(20, NOTHING),
      reply: rpc("unknown procedure: 20"),
      ours: {
        reply: rpc("Unable to decode message payload"),
        reason: "CONNECT_DAEMON_SHUTDOWN of newer libvirts is there",
      },
    },
    {
      says: "LIST_SERVERS without its payload",
      request: adminCall(4, NOTHING),
      reply: rpc("Unable to decode message payload"),
    },

    {
      says: "LIST_SERVERS",
      request: listServers(true),
      reply: ok(new RegExp(`^00000002(${VIRTLOCKD}${ADMIN}|${ADMIN}${VIRTLOCKD})00000002$`)),
      ours: {
        reply: ok("00000002" + ADMIN + VIRTLOCKD + "00000002"),
        reason:
          "libvirt's order differs from one start to the next, and its virt-admin sorts them; here they are sorted",
      },
    },
    {
      says: "flags of LIST_SERVERS",
      request: listServers(true, 1),
      reply: unknownFlags(62, "0x1", "adminConnectListServers"),
    },
    {
      says: "LOOKUP_SERVER",
      request: aboutServer(AdminProcedure.LOOKUP_SERVER, "virtlockd"),
      reply: ok(VIRTLOCKD),
    },
    {
      says: "LOOKUP_SERVER of none",
      request: aboutServer(AdminProcedure.LOOKUP_SERVER, "none"),
      reply: NO_SERVER,
    },

    {
      says: "LIST_CLIENTS",
      request: listClients("virtlockd", true),
      reply: ok(new RegExp(`^00000001${VIRTLOCKD}${ID_1}${TIME}${UNIX}00000001$`)),
    },
    {
      says: "LIST_CLIENTS of the admin server",
      request: listClients("admin", true),
      reply: ok(new RegExp(`^00000001${ADMIN}${ID_1}${TIME}${UNIX}00000001$`)),
    },
    { says: "number of clients", request: listClients("virtlockd", false), reply: ok("0000000000000001") },
    { says: "LIST_CLIENTS of none", request: listClients("none", true), reply: NO_SERVER },
    {
      says: "flags of LIST_CLIENTS",
      request: listClients("virtlockd", true, 1),
      reply: unknownFlags(62, "0x1", "adminServerListClients"),
    },
    {
      says: "LOOKUP_CLIENT",
      request: lookupClient("virtlockd", 1n),
      reply: ok(new RegExp(`^${VIRTLOCKD}${ID_1}${TIME}${UNIX}$`)),
    },
    {
      says: "LOOKUP_CLIENT of none",
      request: lookupClient("virtlockd", 18446744073709551615n),
      reply: failure(96, 7, "Client not found: ", "No client with matching ID '18446744073709551615'"),
    },
    {
      says: "flags of LOOKUP_CLIENT",
      request: lookupClient("virtlockd", 1n, 1),
      reply: unknownFlags(62, "0x1", "adminServerLookupClient"),
    },
    {
      says: "CLIENT_GET_INFO",
      request: aboutClient(AdminProcedure.CLIENT_GET_INFO, "virtlockd", 1n),
      // readonly false, unix_user_id 0, unix_user_name root, unix_group_id 0, unix_group_name root,
      // unix_process_id
      reply: ok(
        new RegExp(
          "^00000006" +
            "00000008726561646f6e6c79" + "00000006" + "00000000" +
            "0000000c756e69785f757365725f6964" + "00000001" + "00000000" +
            "0000000e756e69785f757365725f6e616d650000" + "00000007" + "00000004726f6f74" +
            "0000000d756e69785f67726f75705f6964000000" + "00000001" + "00000000" +
            "0000000f756e69785f67726f75705f6e616d6500" + "00000007" + "00000004726f6f74" +
            "0000000f756e69785f70726f636573735f696400" + "00000001" + "[0-9a-f]{8}$",
        ),
      ),
    },
    {
      says: "CLIENT_GET_INFO of none",
      request: aboutClient(AdminProcedure.CLIENT_GET_INFO, "virtlockd", 7n),
      reply: failure(96, 62, "Client not found: ", "no client with matching id '7' found"),
    },
    {
      says: "CLIENT_GET_INFO of no server",
      request: aboutClient(AdminProcedure.CLIENT_GET_INFO, "none", 1n),
      reply: failure(95, 62, "Server not found: ", "no server with matching name 'none' found"),
    },
    {
      says: "flags of CLIENT_GET_INFO",
      request: aboutClient(AdminProcedure.CLIENT_GET_INFO, "virtlockd", 1n, 1),
      reply: unknownFlags(62, "0x1", "adminClientGetInfo"),
    },
    {
      says: "CLIENT_CLOSE of none",
      request: aboutClient(AdminProcedure.CLIENT_CLOSE, "virtlockd", 7n),
      reply: failure(96, 7, "Client not found: ", "No client with matching ID '7'"),
    },
    {
      says: "flags of CLIENT_CLOSE",
      request: aboutClient(AdminProcedure.CLIENT_CLOSE, "virtlockd", 1n, 1),
      reply: unknownFlags(62, "0x1", "adminClientClose"),
    },
    {
      says: "CLIENT_CLOSE",
      request: aboutClient(AdminProcedure.CLIENT_CLOSE, "virtlockd", 1n),
      reply: ok(),
    },
    { says: "the closed client", client: "lock", request: { bytes: NOTHING }, reply: closed },

    {
      says: "UPDATE_TLS_FILES",
      request: aboutServer(AdminProcedure.UPDATE_TLS_FILES, "virtlockd"),
      reply: internal(7, "no tls service found, unable to update tls files"),
    },
    {
      says: "UPDATE_TLS_FILES of none",
      request: aboutServer(AdminProcedure.UPDATE_TLS_FILES, "none"),
      reply: NO_SERVER,
    },
    {
      says: "flags of UPDATE_TLS_FILES",
      request: aboutServer(AdminProcedure.UPDATE_TLS_FILES, "virtlockd", 1),
      reply: unknownFlags(62, "0x1", "adminServerUpdateTlsFiles"),
    },
    { says: "SET_DAEMON_TIMEOUT", request: setTimeout(2147483), reply: ok() },
    { says: "SET_DAEMON_TIMEOUT to never", request: setTimeout(0), reply: ok() },
    {
      says: "flags of SET_DAEMON_TIMEOUT",
      request: setTimeout(30, 1),
      reply: unknownFlags(62, "0x1", "adminConnectSetDaemonTimeout"),
    },

    {
      says: "CLIENT_CLOSE of the client that asks for it",
      client: "second",
      request: aboutClient(AdminProcedure.CLIENT_CLOSE, "admin", 2n),
      reply: closed,
    },
    { says: "CONNECT_CLOSE", request: adminCall(AdminProcedure.CONNECT_CLOSE, NOTHING), reply: ok() },
    { says: "the end of the connection", request: { bytes: NOTHING }, reply: closed },
  ],
};
