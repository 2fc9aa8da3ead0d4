import type { Sys } from "../../os/sys.ts";
import { DAEMON_SIGNALS } from "../../chassis/start/signals.ts";
import { StorageHelper } from "./helper_process.ts";
import { HELPER_SOCKET, otherVersion, PROTOCOL_VERSION } from "./helper_protocol.ts";

const NAME = "virtlockd-io";

/**
 * The life of a {@link StorageHelper} in a process of its own.
 *
 * Started as `virtlockd internal-storage VERSION` with descriptor 3 a SOCK_SEQPACKET socket.
 *
 * @param args the arguments after the command's name
 * @returns exit code
 */
export function runStorageHelper(sys: Sys, args: readonly string[]): number {
  const helper = new StorageHelper(sys, HELPER_SOCKET);
  const [version] = args;
  if (version !== PROTOCOL_VERSION) {
    helper.send({ kind: "failed", reason: otherVersion(version) });
    return 1;
  }
  sys.setThreadName(NAME);
  // Whoever started it has done so already; a helper started by hand must not open the runtime's debugger
  // port either.
  sys.blockSignals(DAEMON_SIGNALS);
  helper.send({ kind: "ready", pid: sys.pid() });
  return helper.run();
}

/**
 * A helper process that becomes another user before it does anything: see {@link Deputies}. Otherwise like
 * {@link runStorageHelper}; who it becomes is the first message that it gets.
 *
 * @returns exit code
 */
export function runDeputy(sys: Sys): number {
  sys.setThreadName(NAME);
  // That user may signal it, too.
  sys.blockSignals(DAEMON_SIGNALS);
  return new StorageHelper(sys, HELPER_SOCKET).run();
}
