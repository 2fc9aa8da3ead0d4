import type { OwnerArgs } from "../../../src/lockd/wire/lock_protocol.ts";
import { type Conversation, internal, notValid, ok, system } from "../support/conversation.ts";
import {
  acquire,
  create,
  createLockspace,
  newLockspace,
  register,
  release,
  remove,
} from "../support/lock_requests.ts";

const OWNER: OwnerArgs = {
  uuid: "00010203-0405-0607-0809-0a0b0c0d0e0f",
  name: "alpha",
  id: 1,
  pid: 2147483646,
};
const ABSENT = internal(7, "Lockspace for path /absent does not exist");

/** NEW and CREATE_LOCKSPACE, and lockspaces that are not there. */
export const lockspaces: Conversation = {
  about: "requests about lockspaces",
  socket: "/run/libvirt/virtlockd-sock",
  prepare: "mkdir -m 0755 /run/there; touch /run/file",
  steps: [
    { says: "REGISTER", request: register(OWNER), reply: ok() },
    { says: "CREATE_RESOURCE in none", request: create("/absent", "a"), reply: ABSENT },
    { says: "DELETE_RESOURCE in none", request: remove("/absent", "a"), reply: ABSENT },
    { says: "ACQUIRE_RESOURCE in none", request: acquire("/absent", "a"), reply: ABSENT },
    { says: "RELEASE_RESOURCE in none", request: release("/absent", "a"), reply: ABSENT },
    {
      says: "NEW without a path",
      request: newLockspace(""),
      reply: notValid("the default lockspace already exists"),
    },
    { says: "NEW with parents", request: newLockspace("/run/deep/er/one"), reply: ok() },
    {
      says: "NEW again",
      request: newLockspace("/run/deep/er/one"),
      reply: internal(7, "Lockspace for path /run/deep/er/one already exists"),
    },
    { says: "NEW of a directory that exists", request: newLockspace("/run/there"), reply: ok() },
    { says: "CREATE_LOCKSPACE without a path", request: createLockspace(""), reply: ok() },
    { says: "CREATE_LOCKSPACE", request: createLockspace("/run/made"), reply: ok() },
    { says: "CREATE_LOCKSPACE again", request: createLockspace("/run/made"), reply: ok() },
    { says: "CREATE_LOCKSPACE of what NEW made", request: createLockspace("/run/there"), reply: ok() },
    {
      says: "CREATE_LOCKSPACE of a file",
      request: createLockspace("/run/file"),
      reply: internal(51, "Lockspace location /run/file exists, but is not a directory"),
    },
    {
      says: "CREATE_LOCKSPACE below a file",
      request: createLockspace("/run/file/below"),
      reply: system(51, "Unable to create lockspace /run/file/below: Not a directory", 20),
    },
    {
      says: "CREATE_LOCKSPACE in /proc",
      request: createLockspace("/proc/lock/space"),
      reply: system(51, "Unable to create lockspace /proc/lock/space: No such file or directory", 2),
    },
    {
      says: "NEW of a file",
      request: newLockspace("/run/file"),
      reply: ok(),
      ours: {
        reply: internal(51, "Lockspace location /run/file exists, but is not a directory"),
        reason: "libvirt reports success, has no lockspace, and crashes when a holder's connection ends",
      },
    },
    {
      says: "NEW below a file",
      request: newLockspace("/run/file/below"),
      reply: ok(),
      ours: {
        reply: system(51, "Unable to create lockspace /run/file/below: Not a directory", 20),
        reason: "as above",
      },
    },
  ],
};
