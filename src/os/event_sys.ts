import { cString } from "./c_string.ts";
import { IN_ONLYDIR, O_CLOEXEC, O_NONBLOCK } from "./constants.ts";
import { EINTR } from "./errno.ts";
import type { Libc } from "./libc.ts";
import type { EventSys } from "./sys.ts";
import { signalSet } from "./signal_set.ts";

/** struct epoll_event is packed on x86_64 only. */
const EVENT_SIZE = Deno.build.arch === "x86_64" ? 12 : 16;
const EVENT_DATA = EVENT_SIZE - 8;
const SIGNALFD_INFO_SIZE = 128;
const CLOCK_MONOTONIC = 1;

/** How many events one {@link EventSys.epollWait} can return at most. */
export const EVENT_BATCH = 128;

/** Builds the event part of the kernel surface. */
export function eventSys({ c, rare, errno }: Libc): EventSys {
  const control = new Uint8Array(EVENT_SIZE);
  const controlView = new DataView(control.buffer);
  const batch = new Uint8Array(EVENT_SIZE * EVENT_BATCH);
  const batchView = new DataView(batch.buffer);
  // The pointer is made once: making one costs more than the call it serves.
  const batchPointer = Deno.UnsafePointer.of(batch);
  const signalInfo = new Uint8Array(SIGNALFD_INFO_SIZE);
  const signalView = new DataView(signalInfo.buffer);
  const timer = new Uint8Array(32);
  const timerView = new DataView(timer.buffer);
  const clock = new Uint8Array(16);
  const clockView = new DataView(clock.buffer);
  const pollBytes = new Uint8Array(8);
  const pollView = new DataView(pollBytes.buffer);
  const pair = new Int32Array(2);
  const pairBytes = new Uint8Array(pair.buffer);

  function plain(result: number, error: number): number {
    return result < 0 ? -error : result;
  }

  return {
    epollCreate() {
      const result = rare.epoll_create1(O_CLOEXEC);
      return plain(result, errno[0] as number);
    },
    epollControl(epoll, op, fd, events) {
      controlView.setUint32(0, events, true);
      controlView.setInt32(EVENT_DATA, fd, true);
      controlView.setInt32(EVENT_DATA + 4, 0, true);
      const result = c.epoll_ctl(epoll, op, fd, control);
      const error = errno[0] as number;
      return plain(result, error);
    },
    epollWait(epoll, fds, events, timeout) {
      const result = c.epoll_wait(epoll, batchPointer, Math.min(EVENT_BATCH, fds.length), timeout);
      const error = errno[0] as number;
      if (result < 0) return error === EINTR ? 0 : -error;
      for (let index = 0; index < result; index++) {
        events[index] = batchView.getUint32(index * EVENT_SIZE, true);
        fds[index] = batchView.getInt32(index * EVENT_SIZE + EVENT_DATA, true);
      }
      return result;
    },
    signalfd(signals) {
      const result = rare.signalfd(-1, signalSet(signals), O_CLOEXEC | O_NONBLOCK);
      return plain(result, errno[0] as number);
    },
    readSignal(fd, into) {
      const result = c.read(fd, signalInfo, SIGNALFD_INFO_SIZE);
      const error = errno[0] as number;
      if (result < 0) return -error;
      into.signal = signalView.getUint32(0, true);
      into.pid = signalView.getUint32(12, true);
      into.uid = signalView.getUint32(16, true);
      return into.signal;
    },
    timerCreate() {
      const result = rare.timerfd_create(CLOCK_MONOTONIC, O_CLOEXEC | O_NONBLOCK);
      return plain(result, errno[0] as number);
    },
    timerSet(fd, milliseconds) {
      const whole = Math.max(0, milliseconds);
      timerView.setBigInt64(16, BigInt(Math.floor(whole / 1000)), true);
      timerView.setBigInt64(24, BigInt(Math.floor((whole % 1000) * 1e6)), true);
      const result = c.timerfd_settime(fd, 0, timer, null);
      return plain(result, errno[0] as number);
    },
    eventfd() {
      const result = rare.eventfd(0, O_CLOEXEC | O_NONBLOCK);
      return plain(result, errno[0] as number);
    },
    inotify() {
      const result = rare.inotify_init1(O_CLOEXEC | O_NONBLOCK);
      return plain(result, errno[0] as number);
    },
    watchDirectory(inotify, path, events) {
      const name = cString(path);
      const result = rare.inotify_add_watch(inotify, name as Uint8Array<ArrayBuffer>, events | IN_ONLYDIR);
      return plain(result, errno[0] as number);
    },
    pipe() {
      const result = rare.pipe2(pairBytes, O_CLOEXEC | O_NONBLOCK);
      const error = errno[0] as number;
      return result < 0 ? -error : [pair[0] as number, pair[1] as number];
    },
    pollReadable(fd, timeout) {
      pollView.setInt32(0, fd, true);
      pollView.setInt16(4, 1, true);
      pollView.setInt16(6, 0, true);
      const result = rare.poll(pollBytes, 1n, timeout);
      return plain(result, errno[0] as number);
    },
    yieldCpu() {
      c.sched_yield();
    },
    monotonic() {
      c.clock_gettime(CLOCK_MONOTONIC, clock);
      return clockView.getUint32(0, true) * 1000 + clockView.getUint32(4, true) * 0x1_0000_0000 * 1000 +
        clockView.getUint32(8, true) / 1e6;
    },
  };
}
