import { ErrorDomain, internalError } from "../../chassis/wire/rpc_error.ts";
import type { XdrWriter } from "../../chassis/wire/xdr_writer.ts";
import {
  PoolProcedure,
  readPool,
  readString,
  readUuid,
  readVolume,
  REMOTE_LIST_MAX,
  REMOTE_STRING_MAX,
  writeList,
  writeNames,
  writePool,
  writeVolume,
} from "../wire/remote_protocol.ts";
import type { StreamReply } from "../rpc/client_link.ts";
import { answerDone, answerTo, changing, opened, type StorageProcedures } from "./storage_session.ts";

const writeString = (writer: XdrWriter, text: string) => writer.string(text);
const writeFlag = (writer: XdrWriter, flag: boolean) => writer.i32(flag ? 1 : 0);
const writeCount = (writer: XdrWriter, names: readonly string[]) => writer.i32(names.length);

/** Whether a list of so many names can be asked for; if not, it has been refused. */
function mayList(most: number, what: string, reply: StreamReply): boolean {
  if (most >= 0 && most <= REMOTE_LIST_MAX) return true;
  reply.fail(internalError(ErrorDomain.RPC, `maxnames > ${what}`));
  return false;
}

/** Whether a list can be sent at all; if not, it has been refused. */
function listable(length: number, what: string, reply: StreamReply): boolean {
  if (length <= REMOTE_LIST_MAX) return true;
  reply.fail(internalError(ErrorDomain.RPC, `Too many ${what} '${length}' for limit '${REMOTE_LIST_MAX}'`));
  return false;
}

/** Procedures that tell which pools there are. */
export const POOL_LISTS: StorageProcedures = [
  opened(PoolProcedure.NUM_OF_POOLS, "ConnectNumOfStoragePools", ({ service }, _args, reply) => {
    service.poolNames(true, answerTo(reply, writeCount));
  }),
  opened(PoolProcedure.LIST_POOLS, "ConnectListStoragePools", ({ service }, args, reply) => {
    const most = args.i32();
    if (!mayList(most, "REMOTE_STORAGE_POOL_LIST_MAX", reply)) return;
    service.poolNames(true, answerTo(reply, (writer, names) => writeNames(writer, names.slice(0, most))));
  }),
  opened(
    PoolProcedure.NUM_OF_DEFINED_POOLS,
    "ConnectNumOfDefinedStoragePools",
    ({ service }, _args, reply) => {
      service.poolNames(false, answerTo(reply, writeCount));
    },
  ),
  opened(PoolProcedure.LIST_DEFINED_POOLS, "ConnectListDefinedStoragePools", ({ service }, args, reply) => {
    const most = args.i32();
    if (!mayList(most, "REMOTE_STORAGE_POOL_LIST_MAX", reply)) return;
    service.poolNames(false, answerTo(reply, (writer, names) => writeNames(writer, names.slice(0, most))));
  }),
  opened(PoolProcedure.LIST_ALL_POOLS, "ConnectListAllStoragePools", ({ service }, args, reply) => {
    const wanted = args.i32() !== 0;
    service.listPools(args.u32(), (outcome) => {
      if (outcome.kind === "refused") return reply.fail(outcome.failure);
      const pools = outcome.value;
      if (wanted && !listable(pools.length, "storage_pools", reply)) return;
      reply.ok((writer) => writeList(writer, pools, wanted, writePool));
    });
  }),
  opened(PoolProcedure.LOOKUP_BY_NAME, "StoragePoolLookupByName", ({ service }, args, reply) => {
    service.poolByName(readString(args), answerTo(reply, writePool));
  }),
  opened(PoolProcedure.LOOKUP_BY_UUID, "StoragePoolLookupByUUID", ({ service }, args, reply) => {
    service.poolByUuid(readUuid(args), answerTo(reply, writePool));
  }),
  opened(PoolProcedure.LOOKUP_BY_VOLUME, "StoragePoolLookupByVolume", ({ service }, args, reply) => {
    service.poolByVolume(readVolume(args), answerTo(reply, writePool));
  }),
  opened(PoolProcedure.LOOKUP_BY_TARGET_PATH, "StoragePoolLookupByTargetPath", ({ service }, args, reply) => {
    service.poolByTargetPath(readString(args), answerTo(reply, writePool));
  }),
  changing(
    PoolProcedure.FIND_POOL_SOURCES,
    "ConnectFindStoragePoolSources",
    "virConnectFindStoragePoolSources",
    (session, args, reply) => {
      const type = readString(args);
      const spec = args.optionalString(REMOTE_STRING_MAX);
      session.service.findPoolSources(session.caller, type, spec, args.u32(), answerTo(reply, writeString));
    },
  ),
  opened(PoolProcedure.GET_CAPABILITIES, "ConnectGetStoragePoolCapabilities", ({ service }, args, reply) => {
    service.poolCapabilities(args.u32(), answerTo(reply, writeString));
  }),
];

/** Procedures that tell how a pool is. */
export const POOL_QUESTIONS: StorageProcedures = [
  opened(PoolProcedure.GET_INFO, "StoragePoolGetInfo", ({ service }, args, reply) => {
    service.poolInfo(
      readPool(args),
      answerTo(reply, (writer, { state, capacity, allocation, available }) => {
        writer.u32(state);
        writer.u64(capacity);
        writer.u64(allocation);
        writer.u64(available);
      }),
    );
  }),
  opened(PoolProcedure.GET_XML_DESC, "StoragePoolGetXMLDesc", ({ service }, args, reply) => {
    service.poolXml(readPool(args), args.u32(), answerTo(reply, writeString));
  }),
  opened(PoolProcedure.GET_AUTOSTART, "StoragePoolGetAutostart", ({ service }, args, reply) => {
    service.poolAutostart(readPool(args), answerTo(reply, writeFlag));
  }),
  opened(PoolProcedure.IS_ACTIVE, "StoragePoolIsActive", ({ service }, args, reply) => {
    service.poolIsActive(readPool(args), answerTo(reply, writeFlag));
  }),
  opened(PoolProcedure.IS_PERSISTENT, "StoragePoolIsPersistent", ({ service }, args, reply) => {
    service.poolIsPersistent(readPool(args), answerTo(reply, writeFlag));
  }),
  opened(PoolProcedure.NUM_OF_VOLUMES, "StoragePoolNumOfVolumes", ({ service }, args, reply) => {
    service.volumeNames(readPool(args), answerTo(reply, writeCount));
  }),
  opened(PoolProcedure.LIST_VOLUMES, "StoragePoolListVolumes", ({ service }, args, reply) => {
    const pool = readPool(args);
    const most = args.i32();
    if (!mayList(most, "REMOTE_STORAGE_VOL_LIST_MAX", reply)) return;
    service.volumeNames(pool, answerTo(reply, (writer, names) => writeNames(writer, names.slice(0, most))));
  }),
  opened(PoolProcedure.LIST_ALL_VOLUMES, "StoragePoolListAllVolumes", ({ service }, args, reply) => {
    const pool = readPool(args);
    const wanted = args.i32() !== 0;
    service.listVolumes(pool, args.u32(), (outcome) => {
      if (outcome.kind === "refused") return reply.fail(outcome.failure);
      const volumes = outcome.value;
      if (wanted && !listable(volumes.length, "storage_vols", reply)) return;
      reply.ok((writer) => writeList(writer, volumes, wanted, writeVolume));
    });
  }),
];

/** Procedures that change a pool. */
export const POOL_CHANGES: StorageProcedures = [
  changing(
    PoolProcedure.CREATE_XML,
    "StoragePoolCreateXML",
    "virStoragePoolCreateXML",
    (session, args, reply) => {
      const xml = readString(args);
      session.service.createPool(session.caller, xml, args.u32(), answerTo(reply, writePool));
    },
  ),
  changing(
    PoolProcedure.DEFINE_XML,
    "StoragePoolDefineXML",
    "virStoragePoolDefineXML",
    (session, args, reply) => {
      const xml = readString(args);
      session.service.definePool(xml, args.u32(), answerTo(reply, writePool));
    },
  ),
  changing(PoolProcedure.CREATE, "StoragePoolCreate", "virStoragePoolCreate", (session, args, reply) => {
    const pool = readPool(args);
    session.service.startPool(session.caller, pool, args.u32(), answerDone(reply));
  }),
  changing(PoolProcedure.BUILD, "StoragePoolBuild", "virStoragePoolBuild", (session, args, reply) => {
    const pool = readPool(args);
    session.service.buildPool(session.caller, pool, args.u32(), answerDone(reply));
  }),
  changing(PoolProcedure.DESTROY, "StoragePoolDestroy", "virStoragePoolDestroy", (session, args, reply) => {
    session.service.destroyPool(session.caller, readPool(args), answerDone(reply));
  }),
  changing(PoolProcedure.DELETE, "StoragePoolDelete", "virStoragePoolDelete", (session, args, reply) => {
    const pool = readPool(args);
    session.service.deletePool(session.caller, pool, args.u32(), answerDone(reply));
  }),
  changing(
    PoolProcedure.UNDEFINE,
    "StoragePoolUndefine",
    "virStoragePoolUndefine",
    (session, args, reply) => {
      session.service.undefinePool(readPool(args), answerDone(reply));
    },
  ),
  changing(PoolProcedure.REFRESH, "StoragePoolRefresh", "virStoragePoolRefresh", (session, args, reply) => {
    const pool = readPool(args);
    session.service.refreshPool(session.caller, pool, args.u32(), answerDone(reply));
  }),
  changing(
    PoolProcedure.SET_AUTOSTART,
    "StoragePoolSetAutostart",
    "virStoragePoolSetAutostart",
    (session, args, reply) => {
      const pool = readPool(args);
      session.service.setPoolAutostart(pool, args.i32() !== 0, answerDone(reply));
    },
  ),
];
