// A server that does nothing but answer every request with a success: the most that the load process, this
// machine and the system calls of one request allow. What a real daemon takes longer than this is its own.
import { EPOLLIN, SOCK_STREAM } from "../../../src/os/constants.ts";
import { EVENT_BATCH } from "../../../src/os/event_sys.ts";
import { linuxSys } from "../../../src/os/linux.ts";
import { must } from "../../../src/os/system_error.ts";
import { FRAME_MIN, MessageType } from "../../../src/chassis/wire/frame.ts";

const ADD = 1;
const TYPE_END = 19;
const BACKLOG = 4096;

const sys = linuxSys();
const path = Deno.args[0] ?? "";
const listener = must(sys.socket(SOCK_STREAM, true), "socket", "echo");
must(sys.bind(listener, path), "bind", path);
must(sys.listen(listener, BACKLOG), "listen", path);
const epoll = must(sys.epollCreate(), "epoll_create1", "echo");
must(sys.epollControl(epoll, ADD, listener, EPOLLIN), "epoll_ctl", "listener");
console.log("ready");

const fds = new Int32Array(EVENT_BATCH);
const events = new Uint32Array(EVENT_BATCH);
const input = new Uint8Array(65536);
const reply = input.subarray(0, FRAME_MIN);

for (;;) {
  const count = must(sys.epollWait(epoll, fds, events, -1), "epoll_wait", "echo");
  for (let index = 0; index < count; index++) {
    const fd = fds[index] as number;
    if (fd === listener) {
      must(
        sys.epollControl(epoll, ADD, must(sys.accept(listener), "accept4", path), EPOLLIN),
        "epoll_ctl",
        path,
      );
      continue;
    }
    // It has left, or was killed with something unread.
    if (sys.read(fd, input) <= 0) {
      sys.close(fd);
      continue;
    }
    // The request's header becomes the reply's; status stays 0, OK.
    input[3] = FRAME_MIN;
    input[2] = 0;
    input[TYPE_END] = MessageType.REPLY;
    must(sys.send(fd, reply), "send", "client");
  }
}
