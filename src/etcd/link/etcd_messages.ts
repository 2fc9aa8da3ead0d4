import type { Field, FieldType, Message } from "./protobuf.ts";

// Facts of etcd's API: the fields that are used here, by their numbers. Source: the API reference of
// etcd 3.4, services KV, Lease and Watch; the numbers are the same in every later version.

const one = (number: number, type: FieldType): Field => ({ number, type });
const several = (number: number, type: FieldType): Field => ({ number, type, repeated: true });

const HEADER = { clusterId: one(1, "id"), revision: one(3, "integer") } satisfies Message;

const KEY_VALUE = {
  key: one(1, "string"),
  modRevision: one(3, "integer"),
  value: one(5, "string"),
} satisfies Message;

const RANGE_REQUEST = {
  key: one(1, "string"),
  rangeEnd: one(2, "string"),
  limit: one(3, "integer"),
  countOnly: one(9, "bool"),
} satisfies Message;

const PUT_REQUEST = { key: one(1, "string"), value: one(2, "string"), lease: one(3, "id") } satisfies Message;

const DELETE_REQUEST = { key: one(1, "string") } satisfies Message;

const COMPARE = {
  result: one(1, "integer"),
  target: one(2, "integer"),
  key: one(3, "string"),
  createRevision: one(5, "integer"),
  modRevision: one(6, "integer"),
  value: one(7, "string"),
  rangeEnd: one(64, "string"),
} satisfies Message;

/** What a comparison looks at. */
export const COMPARE_TARGET = { create: 1, mod: 2, value: 3 } as const;

const REQUEST_OP = {
  range: one(1, RANGE_REQUEST),
  put: one(2, PUT_REQUEST),
  deleteRange: one(3, DELETE_REQUEST),
} satisfies Message;

const RANGE_RESPONSE = {
  kvs: several(2, KEY_VALUE),
  more: one(3, "bool"),
  count: one(4, "integer"),
} satisfies Message;

/** KV.Txn, what is asked. */
export const TXN_REQUEST = {
  compare: several(1, COMPARE),
  success: several(2, REQUEST_OP),
  failure: several(3, REQUEST_OP),
} satisfies Message;

/** KV.Txn, what is answered. */
export const TXN_RESPONSE = {
  header: one(1, HEADER),
  succeeded: one(2, "bool"),
  responses: several(3, { range: one(1, RANGE_RESPONSE) }),
} satisfies Message;

/** Lease.LeaseGrant, what is asked. */
export const LEASE_GRANT_REQUEST = { ttl: one(1, "integer") } satisfies Message;

/** Lease.LeaseKeepAlive, what is asked. */
export const LEASE_KEEP_REQUEST = { id: one(1, "id") } satisfies Message;

/** Watch.Watch, what is asked: to create one watch. */
export const WATCH_REQUEST = {
  create: one(1, {
    key: one(1, "string"),
    rangeEnd: one(2, "string"),
    startRevision: one(3, "integer"),
    // A list of numbers, packed: one byte each.
    filters: one(5, "string"),
  }),
} satisfies Message;

/** The filters of a watch that is not told of keys that are written: NOPUT alone, which is 0. */
export const ONLY_DELETES = "\0";

/** Watch.Watch, what is answered. */
export const WATCH_RESPONSE = {
  canceled: one(4, "bool"),
  /** The first revision that is known still, where the watch was to begin before. */
  forgotten: one(5, "integer"),
  events: several(11, { kv: one(2, KEY_VALUE) }),
} satisfies Message;

/** What either call about a lease is answered. Without a TTL there is no such lease to be kept. */
export const LEASE_RESPONSE = {
  header: one(1, HEADER),
  id: one(2, "id"),
  ttl: one(3, "integer"),
} satisfies Message;
