import type { Identity } from "../../chassis/config/identity.ts";

/** The commands that ask a running storage daemon. */
const COMMANDS = {
  jobs: "list what takes its time, how far it is and for whom; cancel it",
  clients: "list the connected clients",
  status: "show how the running daemon is doing",
  metrics: "print the daemon's metrics in Prometheus' format",
  exporter: "serve the metrics over HTTP",
} as const;

/** Name of a command. */
export type CommandName = keyof typeof COMMANDS;

/** The storage daemon. */
export const VIRTSTORAGED: Identity<CommandName> = {
  name: "virtstoraged",
  product: "deno-virtlockd",
  purpose: [
    "Serves libvirt's storage pools and volumes: to virsh as storage:///system, and to",
    "the daemons of libvirt that run guests. Without a command it is the daemon.",
  ],
  keeps: "job",
  commands: COMMANDS,
  sockets: ["read-write", "read-only", "admin"],
};
