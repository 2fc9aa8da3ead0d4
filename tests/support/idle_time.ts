import type { Sys } from "../../src/os/sys.ts";

/**
 * A kernel whose time goes by only while an event loop has nothing else to do, and then at once: to when its
 * timer is due. However long this machine stands still, what has come is seen before a limit is over. For one
 * loop, and for tests that play whoever it waits for.
 */
export function idleTime(sys: Sys): Sys {
  let now = sys.monotonic();
  let armed: { readonly timer: number; readonly due: number } | undefined;
  return {
    ...sys,
    // A loop that polls for some time has to see it pass.
    monotonic: () => now += 0.001,
    timerSet(timer, milliseconds) {
      armed = milliseconds === 0 ? undefined : { timer, due: now + milliseconds };
      return sys.timerSet(timer, 0);
    },
    epollWait(epoll, fds, events, timeout) {
      const ready = sys.epollWait(epoll, fds, events, 0);
      if (ready !== 0 || timeout === 0) return ready;
      if (armed !== undefined) {
        now = Math.max(now, armed.due);
        sys.timerSet(armed.timer, 0.001);
        armed = undefined;
      }
      return sys.epollWait(epoll, fds, events, timeout);
    },
  };
}
