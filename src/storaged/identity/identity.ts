import type { Identity } from "../../chassis/config/identity.ts";

/** The storage daemon. */
export const VIRTSTORAGED: Identity<never> = {
  name: "virtstoraged",
  product: "deno-virtlockd",
  purpose: [
    "Serves libvirt's storage pools and volumes: to virsh as storage:///system, and to",
    "the daemons of libvirt that run guests. Without a command it is the daemon.",
  ],
  commands: {},
  sockets: ["read-write", "read-only", "admin"],
};
