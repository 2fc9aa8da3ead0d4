import { busy, type Conversation, invalid, ok, system } from "../support/conversation.ts";
import { acquire, create, createLockspace, register, release, remove } from "../support/lock_requests.ts";

const AUTOCREATE = 2;
const CLIMBS = {
  reply: invalid(51, "Name '../above' cannot be used: it climbs out of lockspace /run/space"),
  reason: "libvirt follows the name and creates, locks and unlinks files anywhere",
};

/** CREATE, DELETE, ACQUIRE and RELEASE of what nobody else holds, and of names that are none. */
export const resources: Conversation = {
  about: "requests about resources",
  socket: "/run/libvirt/virtlockd-sock",
  prepare: `
    mkdir /run/plain /run/plain/directory
    touch /run/plain/disk
    mkfifo /run/plain/fifo
    ln -s /run/plain/nowhere /run/plain/dangling
    python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind("/run/plain/socket")'
  `,
  steps: [
    {
      says: "REGISTER",
      request: register({
        uuid: "00010203-0405-0607-0809-0a0b0c0d0e0f",
        name: "alpha",
        id: 1,
        pid: 2147483646,
      }),
      reply: ok(),
    },
    { says: "CREATE_LOCKSPACE", request: createLockspace("/run/space"), reply: ok() },

    { says: "CREATE_RESOURCE", request: create("/run/space", "made"), reply: ok() },
    { says: "CREATE_RESOURCE again", request: create("/run/space", "made"), reply: ok() },
    { says: "DELETE_RESOURCE", request: remove("/run/space", "made"), reply: ok() },
    { says: "DELETE_RESOURCE again", request: remove("/run/space", "made"), reply: ok() },
    { says: "DELETE_RESOURCE in no directory", request: remove("/run/space", "no/made"), reply: ok() },
    {
      says: "CREATE_RESOURCE in no directory",
      request: create("/run/space", "no/made"),
      reply: system(0, "cannot create file '/run/space/no/made': No such file or directory", 2),
    },
    {
      says: "CREATE_RESOURCE of a directory",
      request: create("", "/run/plain/directory"),
      reply: system(0, "cannot create file '/run/plain/directory': Is a directory", 21),
    },
    {
      says: "DELETE_RESOURCE of a directory",
      request: remove("", "/run/plain/directory"),
      reply: system(51, "Unable to delete lockspace resource /run/plain/directory: Is a directory", 21),
    },

    {
      says: "ACQUIRE_RESOURCE of nothing",
      request: acquire("/run/space", "none"),
      reply: system(51, "Unable to open resource /run/space/none: No such file or directory", 2),
    },
    {
      says: "ACQUIRE_RESOURCE of a directory",
      request: acquire("", "/run/plain/directory"),
      reply: system(51, "Unable to open resource /run/plain/directory: Is a directory", 21),
    },
    {
      says: "ACQUIRE_RESOURCE of a directory, to be created",
      request: acquire("", "/run/plain/directory", AUTOCREATE),
      reply: system(51, "Unable to open/create resource /run/plain/directory: Is a directory", 21),
    },
    {
      says: "ACQUIRE_RESOURCE of a socket",
      request: acquire("", "/run/plain/socket"),
      reply: system(51, "Unable to open resource /run/plain/socket: No such device or address", 6),
    },
    {
      says: "ACQUIRE_RESOURCE of a dangling symlink",
      request: acquire("", "/run/plain/dangling"),
      reply: system(51, "Unable to open resource /run/plain/dangling: No such file or directory", 2),
    },
    { says: "ACQUIRE_RESOURCE of a device", request: acquire("", "/dev/null"), reply: ok() },
    { says: "RELEASE_RESOURCE of a device", request: release("", "/dev/null"), reply: ok() },
    { says: "ACQUIRE_RESOURCE of a fifo", request: acquire("", "/run/plain/fifo"), reply: ok() },
    { says: "RELEASE_RESOURCE of a fifo", request: release("", "/run/plain/fifo"), reply: ok() },

    {
      says: "CREATE_RESOURCE without a name",
      request: create("", ""),
      reply: system(0, "cannot create file '': No such file or directory", 2),
    },
    { says: "DELETE_RESOURCE without a name", request: remove("", ""), reply: ok() },
    {
      says: "ACQUIRE_RESOURCE without a name",
      request: acquire("", ""),
      reply: system(51, "Unable to open resource : No such file or directory", 2),
    },
    {
      says: "RELEASE_RESOURCE without a name",
      request: release("", ""),
      reply: busy("Lockspace resource '' is not locked"),
    },
    {
      says: "CREATE_RESOURCE without a name in a lockspace",
      request: create("/run/space", ""),
      reply: system(0, "cannot create file '/run/space/': Is a directory", 21),
    },
    {
      says: "DELETE_RESOURCE without a name in a lockspace",
      request: remove("/run/space", ""),
      reply: system(51, "Unable to delete lockspace resource /run/space/: Is a directory", 21),
    },
    {
      says: "ACQUIRE_RESOURCE without a name in a lockspace",
      request: acquire("/run/space", "", AUTOCREATE),
      reply: system(51, "Unable to open/create resource /run/space/: Is a directory", 21),
    },
    {
      says: "CREATE_RESOURCE above its lockspace",
      request: create("/run/space", "../above"),
      reply: ok(),
      ours: CLIMBS,
    },
    {
      says: "ACQUIRE_RESOURCE above its lockspace",
      request: acquire("/run/space", "../above"),
      reply: ok(),
      ours: CLIMBS,
    },
    {
      says: "RELEASE_RESOURCE above its lockspace",
      request: release("/run/space", "../above"),
      reply: ok(),
      ours: {
        reply: busy("Lockspace resource '../above' is not locked"),
        reason: "it could not be acquired",
      },
    },
    {
      says: "DELETE_RESOURCE above its lockspace",
      request: remove("/run/space", "../above"),
      reply: ok(),
      ours: CLIMBS,
    },
    {
      says: "ACQUIRE_RESOURCE of an absolute name in a lockspace",
      request: acquire("/run/space", "/run/plain/disk"),
      reply: system(51, "Unable to open resource /run/space//run/plain/disk: No such file or directory", 2),
      ours: {
        reply: invalid(51, "Name '/run/plain/disk' cannot be used: it is absolute, in lockspace /run/space"),
        reason: "such a name is a mistake of its caller, and is told so",
      },
    },
  ],
};
