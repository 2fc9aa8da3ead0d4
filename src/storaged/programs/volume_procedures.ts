import type { XdrReader } from "../../chassis/wire/xdr_reader.ts";
import type { XdrWriter } from "../../chassis/wire/xdr_writer.ts";
import type { VolumeInfo } from "../model/storage_service.ts";
import { readPool, readString, readVolume, VolumeProcedure, writeVolume } from "../wire/remote_protocol.ts";
import { answerDone, answerTo, changing, opened, type StorageProcedures } from "./storage_session.ts";

const writeString = (writer: XdrWriter, text: string) => writer.string(text);

function writeInfo(writer: XdrWriter, { type, capacity, allocation }: VolumeInfo): void {
  writer.i32(type);
  writer.u64(capacity);
  writer.u64(allocation);
}

function readRange(args: XdrReader): { offset: bigint; length: bigint } {
  return { offset: args.u64(), length: args.u64() };
}

/** Procedures that tell which volumes there are and how they are. */
export const VOLUME_QUESTIONS: StorageProcedures = [
  opened(VolumeProcedure.LOOKUP_BY_NAME, "StorageVolLookupByName", ({ service }, args, reply) => {
    const pool = readPool(args);
    service.volumeByName(pool, readString(args), answerTo(reply, writeVolume));
  }),
  opened(VolumeProcedure.LOOKUP_BY_KEY, "StorageVolLookupByKey", ({ service }, args, reply) => {
    service.volumeByKey(readString(args), answerTo(reply, writeVolume));
  }),
  opened(VolumeProcedure.LOOKUP_BY_PATH, "StorageVolLookupByPath", ({ service }, args, reply) => {
    service.volumeByPath(readString(args), answerTo(reply, writeVolume));
  }),
  opened(VolumeProcedure.GET_INFO, "StorageVolGetInfo", ({ service }, args, reply) => {
    service.volumeInfo(readVolume(args), 0, answerTo(reply, writeInfo));
  }),
  opened(VolumeProcedure.GET_INFO_FLAGS, "StorageVolGetInfoFlags", ({ service }, args, reply) => {
    const volume = readVolume(args);
    service.volumeInfo(volume, args.u32(), answerTo(reply, writeInfo));
  }),
  opened(VolumeProcedure.GET_XML_DESC, "StorageVolGetXMLDesc", ({ service }, args, reply) => {
    const volume = readVolume(args);
    service.volumeXml(volume, args.u32(), answerTo(reply, writeString));
  }),
  opened(VolumeProcedure.GET_PATH, "StorageVolGetPath", ({ service }, args, reply) => {
    service.volumePath(readVolume(args), answerTo(reply, writeString));
  }),
];

/** Procedures that change a volume. */
export const VOLUME_CHANGES: StorageProcedures = [
  changing(
    VolumeProcedure.CREATE_XML,
    "StorageVolCreateXML",
    "virStorageVolCreateXML",
    (session, args, reply) => {
      const pool = readPool(args);
      const xml = readString(args);
      session.service.createVolume(session.caller, pool, xml, args.u32(), answerTo(reply, writeVolume));
    },
  ),
  changing(
    VolumeProcedure.CREATE_XML_FROM,
    "StorageVolCreateXMLFrom",
    "virStorageVolCreateXMLFrom",
    (session, args, reply) => {
      const pool = readPool(args);
      const xml = readString(args);
      const source = readVolume(args);
      const { service, caller } = session;
      service.createVolumeFrom(caller, pool, xml, source, args.u32(), answerTo(reply, writeVolume));
    },
  ),
  changing(VolumeProcedure.DELETE, "StorageVolDelete", "virStorageVolDelete", (session, args, reply) => {
    const volume = readVolume(args);
    session.service.deleteVolume(session.caller, volume, args.u32(), answerDone(reply));
  }),
  changing(VolumeProcedure.WIPE, "StorageVolWipe", "virStorageVolWipe", (session, args, reply) => {
    const volume = readVolume(args);
    session.service.wipeVolume(session.caller, volume, 0, args.u32(), answerDone(reply));
  }),
  changing(
    VolumeProcedure.WIPE_PATTERN,
    "StorageVolWipePattern",
    "virStorageVolWipePattern",
    (session, args, reply) => {
      const volume = readVolume(args);
      const algorithm = args.u32();
      session.service.wipeVolume(session.caller, volume, algorithm, args.u32(), answerDone(reply));
    },
  ),
  changing(VolumeProcedure.RESIZE, "StorageVolResize", "virStorageVolResize", (session, args, reply) => {
    const volume = readVolume(args);
    const capacity = args.u64();
    session.service.resizeVolume(session.caller, volume, capacity, args.u32(), answerDone(reply));
  }),
  changing(VolumeProcedure.UPLOAD, "StorageVolUpload", "virStorageVolUpload", (session, args, reply) => {
    const volume = readVolume(args);
    const range = readRange(args);
    session.service.uploadVolume(session.caller, volume, range, args.u32(), (outcome) => {
      if (outcome.kind === "refused") return reply.fail(outcome.failure);
      reply.upload(outcome.value);
    });
  }),
  changing(
    VolumeProcedure.DOWNLOAD,
    "StorageVolDownload",
    "virStorageVolDownload",
    (session, args, reply) => {
      const volume = readVolume(args);
      const range = readRange(args);
      session.service.downloadVolume(session.caller, volume, range, args.u32(), (outcome) => {
        if (outcome.kind === "refused") return reply.fail(outcome.failure);
        reply.download(outcome.value);
      });
    },
  ),
];
