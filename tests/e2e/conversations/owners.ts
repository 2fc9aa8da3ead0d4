import type { OwnerArgs } from "../../../src/lockd/wire/lock_protocol.ts";
import {
  busy,
  type Conversation,
  failure,
  internal,
  notValid,
  ok,
  rpc,
  unknownFlags,
} from "../support/conversation.ts";
import {
  acquire,
  create,
  createLockspace,
  newLockspace,
  register,
  release,
  remove,
  restrict,
} from "../support/lock_requests.ts";

/** No process has this pid, so nobody is killed when the connection ends. */
const NOBODY = 2147483646;
const OWNER: OwnerArgs = { uuid: "00010203-0405-0607-0809-0a0b0c0d0e0f", name: "alpha", id: 1, pid: NOBODY };

const NOT_REGISTERED = notValid("lock owner details have not been registered");
const RESTRICTED = failure(29, 7, "operation forbidden: ", "lock manager connection has been restricted");

/** Flags, registration and restriction, and in which order they are looked at. */
export const owners: Conversation = {
  about: "registration and restriction",
  socket: "/run/libvirt/virtlockd-sock",
  prepare: "mkdir /run/locks; touch /run/locks/a",
  steps: [
    {
      says: "flags of REGISTER",
      request: register(OWNER, 1),
      reply: unknownFlags(7, "0x1", "virLockSpaceProtocolDispatchRegister"),
    },
    {
      says: "all flags of REGISTER",
      request: register(OWNER, 0xffffffff),
      reply: unknownFlags(7, "0xffffffff", "virLockSpaceProtocolDispatchRegister"),
    },
    {
      says: "flags of RESTRICT",
      request: restrict(1),
      reply: unknownFlags(7, "0x1", "virLockSpaceProtocolDispatchRestrict"),
    },
    {
      says: "flags of NEW",
      request: newLockspace("/run/new", 1),
      reply: unknownFlags(7, "0x1", "virLockSpaceProtocolDispatchNew"),
    },
    {
      says: "flags of CREATE_RESOURCE",
      request: create("", "/run/locks/a", 1),
      reply: unknownFlags(7, "0x1", "virLockSpaceProtocolDispatchCreateResource"),
    },
    {
      says: "flags of DELETE_RESOURCE",
      request: remove("", "/run/locks/a", 1),
      reply: unknownFlags(7, "0x1", "virLockSpaceProtocolDispatchDeleteResource"),
    },
    {
      says: "unknown flag of ACQUIRE_RESOURCE beside the known ones",
      request: acquire("", "/run/locks/a", 7),
      reply: unknownFlags(7, "0x4", "virLockSpaceProtocolDispatchAcquireResource"),
    },
    {
      says: "flags of RELEASE_RESOURCE",
      request: release("", "/run/locks/a", 1),
      reply: unknownFlags(7, "0x1", "virLockSpaceProtocolDispatchReleaseResource"),
    },
    { says: "RESTRICT unregistered", request: restrict(), reply: NOT_REGISTERED },
    { says: "NEW unregistered", request: newLockspace("/run/new"), reply: NOT_REGISTERED },
    { says: "CREATE_RESOURCE unregistered", request: create("/absent", "a"), reply: NOT_REGISTERED },
    { says: "DELETE_RESOURCE unregistered", request: remove("/absent", "a"), reply: NOT_REGISTERED },
    { says: "ACQUIRE_RESOURCE unregistered", request: acquire("/absent", "a"), reply: NOT_REGISTERED },
    { says: "RELEASE_RESOURCE unregistered", request: release("/absent", "a"), reply: NOT_REGISTERED },
    { says: "CREATE_LOCKSPACE unregistered", request: createLockspace("/run/free"), reply: ok() },
    { says: "REGISTER with id 0", request: register({ ...OWNER, id: 0 }), reply: NOT_REGISTERED },
    {
      says: "REGISTER with a name of 65537 bytes",
      request: register({ ...OWNER, name: "n".repeat(65537) }),
      reply: rpc("Unable to decode message payload"),
    },
    { says: "REGISTER", request: register(OWNER), reply: ok() },
    {
      says: "REGISTER again, with id 0",
      request: register({ ...OWNER, id: 0 }),
      reply: NOT_REGISTERED,
    },
    { says: "DELETE_RESOURCE, registered as before", request: remove("", "/run/locks/none"), reply: ok() },
    { says: "REGISTER again, as another", request: register({ ...OWNER, name: "beta", id: 2 }), reply: ok() },
    { says: "REGISTER with the id -1", request: register({ ...OWNER, id: 0xffffffff }), reply: ok() },
    {
      says: "REGISTER without uuid and name",
      request: register({ ...OWNER, uuid: "00000000-0000-0000-0000-000000000000", name: "" }),
      reply: ok(),
    },
    { says: "REGISTER without pid", client: "pid 0", request: register({ ...OWNER, pid: 0 }), reply: ok() },
    {
      says: "ACQUIRE_RESOURCE without pid",
      client: "pid 0",
      request: acquire("", "/run/locks/a"),
      reply: ok(),
    },
    {
      says: "REGISTER without pid, as another domain",
      client: "another without pid",
      request: register({ ...OWNER, uuid: "10010203-0405-0607-0809-0a0b0c0d0e0f", name: "xen", pid: 0 }),
      reply: ok(),
    },
    {
      says: "RELEASE_RESOURCE without pid, of what another domain has",
      client: "another without pid",
      request: release("", "/run/locks/a"),
      reply: ok(),
      ours: {
        reply: internal(
          51,
          /owner 0 does not hold the resource lock, but domain 'alpha' .* with the same process id/,
        ),
        reason: "every guest of Xen has pid 0: libvirt's daemon lets each of them free another's lock",
      },
    },
    {
      says: "RELEASE_RESOURCE without pid",
      client: "pid 0",
      request: release("", "/run/locks/a"),
      reply: busy("Lockspace resource '/run/locks/a' is not locked"),
      ours: { reply: ok(), reason: "nobody else could release it" },
    },
    { says: "RESTRICT", request: restrict(), reply: ok() },
    { says: "REGISTER restricted", request: register(OWNER), reply: RESTRICTED },
    { says: "RESTRICT restricted", request: restrict(), reply: RESTRICTED },
    {
      says: "flags of RESTRICT restricted",
      request: restrict(5),
      reply: unknownFlags(7, "0x5", "virLockSpaceProtocolDispatchRestrict"),
    },
    { says: "NEW restricted", request: newLockspace("/run/new"), reply: RESTRICTED },
    { says: "CREATE_RESOURCE restricted", request: create("/absent", "a"), reply: RESTRICTED },
    { says: "DELETE_RESOURCE restricted", request: remove("/absent", "a"), reply: RESTRICTED },
    { says: "ACQUIRE_RESOURCE restricted", request: acquire("/absent", "a"), reply: RESTRICTED },
    { says: "RELEASE_RESOURCE restricted", request: release("/absent", "a"), reply: RESTRICTED },
    { says: "CREATE_LOCKSPACE restricted", request: createLockspace(""), reply: RESTRICTED },
  ],
};
