import type { Identity } from "../../chassis/config/identity.ts";

/** The commands that ask a running lock daemon or check its host. */
const COMMANDS = {
  locks: "list the locks: who holds which resource",
  clients: "list the connected clients",
  status: "show how the running daemon is doing",
  doctor: "look for what leaves this host's guests without locks",
  metrics: "print the daemon's metrics in Prometheus' format",
  exporter: "serve the metrics over HTTP",
  reload: "execute the installed program anew in the daemon, keeping all locks",
  release: "free a lock whose guest is gone, or of which nobody can tell",
  cluster: "show and change what all hosts of a cluster have in common",
} as const;

/** Name of a command. */
export type CommandName = keyof typeof COMMANDS;

/** The lock daemon. */
export const VIRTLOCKD = {
  name: "virtlockd",
  product: "deno-virtlockd",
  purpose: [
    "Keeps the locks of libvirt's guests in a process of its own, so that libvirtd",
    "can be restarted without losing them. Without a command it is the daemon.",
  ],
  keeps: "lock",
  commands: COMMANDS,
  sockets: ["read-write", "admin"],
} as const satisfies Identity<CommandName>;
