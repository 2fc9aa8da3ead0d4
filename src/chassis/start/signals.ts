import type { EventLoop } from "../event/event_loop.ts";
import { EPOLLIN, SIGHUP, SIGINT, SIGIO, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1 } from "../../os/constants.ts";
import type { DescriptorLedger } from "../../os/ledger.ts";
import type { EventSys, SignalInfo } from "../../os/sys.ts";
import { must } from "../../os/system_error.ts";

/**
 * Signals the daemon takes through a signalfd. They are blocked in every thread from the first instruction of
 * the process on, because the runtime would open a debugger port on SIGUSR1, and the others would kill it.
 */
export const DAEMON_SIGNALS: readonly number[] = [SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGTERM, SIGPIPE, SIGIO];

/** What the daemon does at its signals. `sender` is a pid, 0 for the kernel. */
export interface SignalHandlers {
  reExec(sender: number): void;
  reload(sender: number): void;
  terminate(signal: number, sender: number): void;
}

/**
 * Delivers the daemon's signals as events. Owns the signalfd as long as the process lives. @throws
 * SystemError
 */
export function watchSignals(
  sys: EventSys,
  loop: EventLoop,
  ledger: DescriptorLedger,
  handlers: SignalHandlers,
): void {
  const fd = ledger.own(must(sys.signalfd(DAEMON_SIGNALS), "signalfd", "signals"), "signals");
  const info: SignalInfo = { signal: 0, pid: 0, uid: 0 };
  loop.add(fd, EPOLLIN, () => {
    while (sys.readSignal(fd, info) > 0) {
      switch (info.signal) {
        case SIGUSR1:
          handlers.reExec(info.pid);
          break;
        case SIGHUP:
          handlers.reload(info.pid);
          break;
        case SIGPIPE:
        // The kernel tells of a file that the daemon has asked about for a moment.
        case SIGIO:
          break;
        default:
          handlers.terminate(info.signal, info.pid);
      }
    }
  });
}
