import { startLogging, startLoop } from "../../src/chassis/start/start.ts";
import { Daemon, type DaemonParts } from "../../src/lockd/daemon/daemon.ts";
import { VIRTLOCKD } from "../../src/lockd/identity/identity.ts";
import { LOCK_SETTINGS } from "../../src/lockd/identity/settings.ts";
import type { Sys } from "../../src/os/sys.ts";
import { kernel } from "./kernel.ts";

/**
 * The parts of a lock daemon, without a socket and without a start. {@link closeParts} ends it.
 *
 * @param given parts that are not to be as usual
 */
export function daemonParts(sys: Sys = kernel, given: Partial<DaemonParts> = {}): Daemon {
  const { loop, ledger } = startLoop(sys);
  return new Daemon({
    sys,
    loop,
    ledger,
    logs: startLogging(VIRTLOCKD, sys),
    uid: sys.uid(),
    settings: LOCK_SETTINGS.defaults,
    configurationFile: "/nowhere/virtlockd.conf",
    idleTimeout: 0,
    recorder: undefined,
    program: { path: "/nowhere", argv: ["/nowhere"], env: [] },
    storageStarter: undefined,
    deputySocket: "/nowhere/deputy",
    linkSocket: "/nowhere/cluster",
    membershipFile: "/nowhere/cluster.json",
    lineage: "lineage",
    tries: [],
    triesChanged: () => {},
    fenceSocket: "/nowhere/fence",
    changed: () => {},
    lockspacePlaced: () => {},
    ...given,
  });
}

/** Closes everything that a daemon's parts have open. */
export function closeParts(daemon: Daemon): void {
  for (const [fd] of [...daemon.ledger.entries()]) {
    if (!daemon.loop.descriptors.includes(fd)) daemon.ledger.close(fd);
  }
  daemon.loop.close();
}
