import type { OwnerArgs } from "../../../src/lockd/wire/lock_protocol.ts";
import { busy, type Conversation, internal, ok, system } from "../support/conversation.ts";
import { acquire, create, createLockspace, register, release, remove } from "../support/lock_requests.ts";

const SHARED = 1;
const AUTOCREATE = 2;
const ALPHA: OwnerArgs = {
  uuid: "00010203-0405-0607-0809-0a0b0c0d0e0f",
  name: "alpha",
  id: 1,
  pid: 2147483646,
};
const BETA: OwnerArgs = {
  uuid: "f0e0d0c0-b0a0-9080-7060-504030201000",
  name: "beta",
  id: 2,
  pid: 2147483645,
};

const TIME = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`;
const BY_ALPHA = String
  .raw`by domain 'alpha' \(uuid 00010203-0405-0607-0809-0a0b0c0d0e0f, pid 2147483646\) since ${TIME}`;
const BY_BETA = String
  .raw`domain 'beta' \(uuid f0e0d0c0-b0a0-9080-7060-504030201000, pid 2147483645\) since ${TIME}`;

const NAMES_HOLDER = {
  reply: busy(new RegExp(`Lockspace resource 'one' is locked ${BY_ALPHA}`)),
  reason: "libvirt does not say who holds it",
};
const NAMES_PROCESS = {
  reply: busy(
    /Lockspace resource '\/run\/plain\/taken' is locked by process \d+ \(python3\), which is not known here/,
  ),
  reason: "libvirt does not say who holds it",
};
const NO_SECOND_LOCK = {
  reply: busy(/Lockspace resource '\/run\/plain\/(link|twin)' is not locked/),
  reason: "it could not be acquired",
};

/** Two owners, and a process outside, that want the same file. */
export const conflicts: Conversation = {
  about: "requests that conflict",
  socket: "/run/libvirt/virtlockd-sock",
  // A child that keeps a lock of its own, as another lock manager would; it goes with the private host.
  prepare: `
    mkdir /run/plain
    touch /run/plain/disk /run/plain/taken
    ln -s /run/plain/disk /run/plain/link
    ln /run/plain/disk /run/plain/twin
    mkfifo /run/plain/ready
    python3 -c '
import fcntl, time
file = open("/run/plain/taken", "r+b")
fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)
open("/run/plain/ready", "w").close()
time.sleep(3600)
' &
    cat /run/plain/ready
  `,
  steps: [
    { says: "REGISTER alpha", request: register(ALPHA), reply: ok() },
    { says: "REGISTER beta", client: "second", request: register(BETA), reply: ok() },
    { says: "CREATE_LOCKSPACE", request: createLockspace("/run/space"), reply: ok() },

    {
      says: "RELEASE_RESOURCE of what is not held",
      request: release("/run/space", "none"),
      reply: busy("Lockspace resource 'none' is not locked"),
    },
    { says: "ACQUIRE_RESOURCE", request: acquire("/run/space", "one", AUTOCREATE), reply: ok() },
    {
      says: "ACQUIRE_RESOURCE again by its owner",
      request: acquire("/run/space", "one", AUTOCREATE),
      reply: busy("Lockspace resource 'one' is locked"),
      ours: NAMES_HOLDER,
    },
    {
      says: "ACQUIRE_RESOURCE by another",
      client: "second",
      request: acquire("/run/space", "one", AUTOCREATE),
      reply: busy("Lockspace resource 'one' is locked"),
      ours: NAMES_HOLDER,
    },
    {
      says: "ACQUIRE_RESOURCE shared by another",
      client: "second",
      request: acquire("/run/space", "one", SHARED | AUTOCREATE),
      reply: busy("Lockspace resource 'one' is locked"),
      ours: NAMES_HOLDER,
    },
    {
      says: "CREATE_RESOURCE of what is held",
      request: create("/run/space", "one"),
      reply: busy("Lockspace resource 'one' is locked"),
      ours: NAMES_HOLDER,
    },
    {
      says: "DELETE_RESOURCE of what is held",
      request: remove("/run/space", "one"),
      reply: busy("Lockspace resource 'one' is locked"),
      ours: NAMES_HOLDER,
    },
    {
      says: "RELEASE_RESOURCE by another",
      client: "second",
      request: release("/run/space", "one"),
      reply: internal(51, "owner 2147483645 does not hold the resource lock"),
    },
    { says: "RELEASE_RESOURCE", request: release("/run/space", "one"), reply: ok() },
    {
      says: "RELEASE_RESOURCE again",
      request: release("/run/space", "one"),
      reply: busy("Lockspace resource 'one' is not locked"),
    },
    {
      says: "ACQUIRE_RESOURCE of a released one, whose file is gone",
      request: acquire("/run/space", "one"),
      reply: system(51, "Unable to open resource /run/space/one: No such file or directory", 2),
    },

    {
      says: "ACQUIRE_RESOURCE shared",
      request: acquire("/run/space", "both", SHARED | AUTOCREATE),
      reply: ok(),
    },
    {
      says: "ACQUIRE_RESOURCE shared by another, without AUTOCREATE",
      client: "second",
      request: acquire("/run/space", "both", SHARED),
      reply: ok(),
    },
    {
      says: "ACQUIRE_RESOURCE shared twice by another",
      client: "second",
      request: acquire("/run/space", "both", SHARED | AUTOCREATE),
      reply: ok(),
    },
    {
      says: "ACQUIRE_RESOURCE exclusively of what is shared",
      request: acquire("/run/space", "both", AUTOCREATE),
      reply: busy("Lockspace resource 'both' is locked"),
      ours: {
        reply: busy(new RegExp(`Lockspace resource 'both' is locked ${BY_ALPHA}, ${BY_BETA}`)),
        reason: "libvirt does not say who holds it",
      },
    },
    { says: "RELEASE_RESOURCE of the first share", request: release("/run/space", "both"), reply: ok() },
    {
      says: "RELEASE_RESOURCE of the second share",
      client: "second",
      request: release("/run/space", "both"),
      reply: ok(),
    },
    {
      says: "RELEASE_RESOURCE of no share",
      request: release("/run/space", "both"),
      reply: internal(51, "owner 2147483646 does not hold the resource lock"),
    },
    {
      says: "RELEASE_RESOURCE of the last share",
      client: "second",
      request: release("/run/space", "both"),
      reply: ok(),
    },
    {
      says: "RELEASE_RESOURCE of one share too many",
      client: "second",
      request: release("/run/space", "both"),
      reply: busy("Lockspace resource 'both' is not locked"),
    },

    { says: "ACQUIRE_RESOURCE of a disk", request: acquire("", "/run/plain/disk"), reply: ok() },
    {
      says: "ACQUIRE_RESOURCE of the same disk by a symlink",
      client: "second",
      request: acquire("", "/run/plain/link"),
      reply: ok(),
      ours: {
        reply: busy(
          new RegExp(`Lockspace resource '/run/plain/link' is locked as '/run/plain/disk' ${BY_ALPHA}`),
        ),
        reason: "libvirt lets two guests write to one file that has two names",
      },
    },
    {
      says: "ACQUIRE_RESOURCE of the same disk by a hard link",
      client: "second",
      request: acquire("", "/run/plain/twin"),
      reply: ok(),
      ours: {
        reply: busy(
          new RegExp(`Lockspace resource '/run/plain/twin' is locked as '/run/plain/disk' ${BY_ALPHA}`),
        ),
        reason: "libvirt lets two guests write to one file that has two names",
      },
    },
    { says: "RELEASE_RESOURCE of the disk", request: release("", "/run/plain/disk"), reply: ok() },
    {
      says: "RELEASE_RESOURCE of the symlink",
      client: "second",
      request: release("", "/run/plain/link"),
      reply: ok(),
      ours: NO_SECOND_LOCK,
    },
    {
      says: "RELEASE_RESOURCE of the hard link",
      client: "second",
      request: release("", "/run/plain/twin"),
      reply: ok(),
      ours: NO_SECOND_LOCK,
    },

    {
      says: "ACQUIRE_RESOURCE of what another process has locked",
      request: acquire("", "/run/plain/taken"),
      reply: busy("Lockspace resource '/run/plain/taken' is locked"),
      ours: NAMES_PROCESS,
    },
    {
      says: "ACQUIRE_RESOURCE shared of what another process has locked",
      request: acquire("", "/run/plain/taken", SHARED),
      reply: busy("Lockspace resource '/run/plain/taken' is locked"),
      ours: NAMES_PROCESS,
    },
  ],
};
