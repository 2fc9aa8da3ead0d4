import assert from "node:assert/strict";
import { EventLoop } from "../../../../src/chassis/event/event_loop.ts";
import { EPOLLIN, EPOLLOUT } from "../../../../src/os/constants.ts";
import { ENOMEM } from "../../../../src/os/errno.ts";
import { SystemError } from "../../../../src/os/system_error.ts";
import { kernel } from "../../../support/kernel.ts";

type LoopSys = ConstructorParameters<typeof EventLoop>[0];

/** A kernel whose events and clock the test makes. */
class FakeKernel {
  now = 0;
  /** What epoll_wait returns, batch by batch; then nothing. */
  readonly batches: [fd: number, events: number][][] = [];
  readonly waits: number[] = [];
  readonly controls: string[] = [];
  readonly armed: number[] = [];
  readonly closed: number[] = [];
  /** Called in each wait, before it returns. */
  waiting = (_timeout: number) => {};
  controlResult = 0;
  waitError = 0;

  readonly sys: LoopSys = {
    ...kernel,
    epollCreate: () => 3,
    timerCreate: () => 4,
    epollControl: (_epoll, op, fd, events) => {
      this.controls.push(`${["", "add", "delete", "modify"][op]} ${fd} ${events}`);
      return this.controlResult;
    },
    epollWait: (_epoll, fds, events, timeout) => {
      this.waits.push(timeout);
      this.waiting(timeout);
      if (this.waitError !== 0) return -this.waitError;
      const batch = this.batches.shift() ?? [];
      batch.forEach(([fd, bits], index) => {
        fds[index] = fd;
        events[index] = bits;
      });
      return batch.length;
    },
    timerSet: (_fd, milliseconds) => {
      this.armed.push(milliseconds);
      return 0;
    },
    read: () => 8,
    close: (fd) => {
      this.closed.push(fd);
      return 0;
    },
    monotonic: () => this.now,
  };
}

Deno.test("EventLoop turn() gives each handler the events of its descriptor", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  const seen: string[] = [];
  loop.add(10, EPOLLIN, (events) => seen.push(`10:${events}`));
  loop.add(11, EPOLLOUT, (events) => seen.push(`11:${events}`));
  fake.batches.push([[11, 4], [10, 17]]);
  assert.equal(loop.turn(-1), 2);
  assert.deepEqual(seen, ["11:4", "10:17"]);
  assert.deepEqual(fake.controls, ["add 4 1", "add 10 1", "add 11 4"]);
});

Deno.test("EventLoop drops an event of a descriptor that an earlier handler of the batch removed", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  const seen: string[] = [];
  loop.add(10, EPOLLIN, () => {
    loop.remove(11);
    // A new descriptor gets the same number.
    loop.add(11, EPOLLIN, () => seen.push("new 11"));
  });
  loop.add(11, EPOLLIN, () => seen.push("old 11"));
  fake.batches.push([[10, 1], [11, 1]], [[11, 1]]);
  loop.turn(-1);
  assert.deepEqual(seen, []);
  loop.turn(-1);
  assert.deepEqual(seen, ["new 11"]);
});

Deno.test("EventLoop lets a handler remove its own descriptor, and remove() is harmless twice", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  let calls = 0;
  loop.add(10, EPOLLIN, () => {
    calls++;
    loop.remove(10);
    loop.remove(10);
  });
  fake.batches.push([[10, 1]], [[10, 1]]);
  loop.turn(-1);
  loop.turn(-1);
  assert.equal(calls, 1);
  assert.deepEqual(fake.controls, ["add 4 1", "add 10 1", "delete 10 0"]);
});

Deno.test("EventLoop add() and modify() throw when the kernel refuses", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  const called: number[] = [];
  loop.add(10, EPOLLIN, () => called.push(10));
  fake.controlResult = -1;
  const refused = (error: unknown) => error instanceof SystemError && error.errno === 1;
  assert.throws(() => loop.add(11, EPOLLIN, () => called.push(11)), refused);
  assert.throws(() => loop.modify(10, EPOLLOUT), refused);
  fake.controlResult = 0;
  fake.batches.push([[11, 1], [10, 1]]);
  loop.turn(-1);
  // The handler that was refused is forgotten, the one that could not be changed is still there.
  assert.deepEqual(called, [10]);
});

Deno.test("EventLoop add() watches later what the kernel has no room for", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  const seen: number[] = [];
  fake.controlResult = -28;
  loop.add(10, EPOLLIN, (events) => seen.push(events));
  loop.add(11, EPOLLIN, () => {});
  loop.modify(10, EPOLLOUT);
  loop.remove(11);
  const expire = () => {
    fake.now += 100;
    fake.batches.push([[4, 1]]);
    loop.turn(-1);
  };
  expire();
  fake.controlResult = 0;
  expire();
  expire();
  assert.deepEqual(fake.controls, ["add 4 1", "add 10 1", "add 11 1", "add 10 4", "add 10 4"]);
  fake.batches.push([[10, 4]]);
  loop.turn(-1);
  assert.deepEqual(seen, [4]);
});

Deno.test("EventLoop throws when it gets no descriptor or cannot wait", () => {
  const fake = new FakeKernel();
  for (const name of ["epollCreate", "timerCreate"] as const) {
    assert.throws(() => new EventLoop({ ...fake.sys, [name]: () => -24 }), SystemError);
  }
  const loop = new EventLoop(fake.sys);
  fake.waitError = 9;
  assert.throws(() => loop.turn(-1), /^SystemError: epoll_wait event loop: Bad file descriptor \(EBADF\)$/);
});

Deno.test("EventLoop defer() runs a task after the batch and before the loop sleeps", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  const seen: string[] = [];
  loop.add(10, EPOLLIN, () => {
    loop.defer(() => {
      seen.push("deferred");
      loop.defer(() => seen.push("deferred again"));
    });
    seen.push("handler");
  });
  fake.batches.push([[10, 1]]);
  loop.turn(-1);
  assert.deepEqual(seen, ["handler", "deferred"]);
  fake.waits.length = 0;
  loop.turn(-1);
  assert.deepEqual(seen, ["handler", "deferred", "deferred again"]);
  assert.deepEqual(fake.waits, [0]);
});

Deno.test("EventLoop dispatches what is late behind the rest of its batch and what that has deferred", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  const seen: string[] = [];
  loop.add(10, EPOLLIN, () => {
    seen.push("late");
    loop.defer(() => seen.push("deferred by late"));
  }, "late");
  loop.add(11, EPOLLIN, () => {
    seen.push("first");
    loop.defer(() => seen.push("deferred by first"));
  });
  loop.add(12, EPOLLIN, () => seen.push("second"));
  fake.batches.push([[10, 1], [11, 1], [12, 1]], [[10, 1]]);
  assert.equal(loop.turn(-1), 3);
  const all = ["first", "second", "deferred by first", "late", "deferred by late"];
  assert.deepEqual(seen, all);
  loop.turn(-1);
  assert.deepEqual(seen, [...all, "late", "deferred by late"]);
});

Deno.test("EventLoop drops a late event whose descriptor was removed before, also when its number is used again", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  const seen: string[] = [];
  loop.add(10, EPOLLIN, () => seen.push("late 10"), "late");
  loop.add(11, EPOLLIN, () => {
    loop.remove(10);
    loop.add(10, EPOLLIN, () => seen.push("new 10"));
  });
  fake.batches.push([[10, 1], [11, 1]], [[12, 1], [10, 1]]);
  loop.turn(-1);
  assert.equal(seen.length, 0);
  loop.add(12, EPOLLIN, () => seen.push("12"));
  loop.turn(-1);
  assert.deepEqual(seen, ["12", "new 10"]);
});

Deno.test("EventLoop after() runs timers in due time, each once, and arms for the earliest", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  const seen: string[] = [];
  fake.now = 1000;
  loop.after(50, () => seen.push("50"));
  loop.after(20, () => seen.push("20"));
  loop.after(90, () => seen.push("90"));
  assert.deepEqual(fake.armed, [50, 20]);
  fake.now = 1020;
  fake.batches.push([[4, 1]]);
  loop.turn(-1);
  assert.deepEqual(seen, ["20"]);
  assert.deepEqual(fake.armed, [50, 20, 30]);
  fake.now = 1100;
  fake.batches.push([[4, 1]]);
  loop.turn(-1);
  assert.deepEqual(seen, ["20", "50", "90"]);
  assert.equal(fake.armed.length, 3);
});

Deno.test("EventLoop runs what is due, and goes on, when the timer's event cannot be read", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop({ ...fake.sys, read: () => -ENOMEM });
  const seen: string[] = [];
  loop.after(20, () => seen.push("20"));
  loop.after(90, () => seen.push("90"));
  fake.now = 20;
  fake.batches.push([[4, 1]]);
  loop.turn(-1);
  // The event is still there, and nothing is due.
  fake.batches.push([[4, 1]]);
  loop.turn(-1);
  assert.deepEqual(seen, ["20"]);
  fake.now = 90;
  fake.batches.push([[4, 1]]);
  loop.turn(-1);
  assert.deepEqual(seen, ["20", "90"]);
});

Deno.test("EventLoop after() fires at once for a time that has passed", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  loop.after(-5, () => {});
  loop.after(0, () => {});
  // 0 would disarm the timer.
  assert.deepEqual(fake.armed, [0.001]);
});

Deno.test("EventLoop does not run a timer that was cancelled, also by another one in the same moment", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  const seen: string[] = [];
  const early = loop.after(10, () => seen.push("early"));
  loop.after(20, () => {
    seen.push("first");
    second.cancel();
  });
  const second = loop.after(20, () => seen.push("second"));
  early.cancel();
  early.cancel();
  fake.now = 20;
  fake.batches.push([[4, 1]]);
  loop.turn(-1);
  assert.deepEqual(seen, ["first"]);
});

Deno.test("EventLoop runs a timer that another one sets while timers run, in its own time", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  const seen: string[] = [];
  loop.after(10, () => loop.after(10, () => seen.push("nested")));
  fake.now = 10;
  fake.batches.push([[4, 1]]);
  loop.turn(-1);
  assert.deepEqual(seen, []);
  assert.deepEqual(fake.armed, [10, 10]);
  fake.now = 20;
  fake.batches.push([[4, 1]]);
  loop.turn(-1);
  assert.deepEqual(seen, ["nested"]);
});

Deno.test("EventLoop run() serves until stop()", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  let turns = 0;
  loop.add(10, EPOLLIN, () => {
    if (++turns === 3) loop.stop();
  });
  fake.waiting = () => fake.batches.push([[10, 1]]);
  loop.run();
  assert.equal(turns, 3);
});

Deno.test("EventLoop sleeps without polling when nothing comes", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  fake.waiting = () => fake.now += 1000;
  for (let turn = 0; turn < 100; turn++) loop.turn(-1);
  assert.deepEqual(new Set(fake.waits), new Set([-1]));
});

Deno.test("EventLoop polls a bounded while after quick requests, and gives up when none come", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  loop.add(10, EPOLLIN, () => {});
  // Requests that come 10 us after each other: a sleep is short, so polling pays.
  fake.waiting = () => {
    fake.now += 0.01;
    fake.batches.push([[10, 1]]);
  };
  for (let turn = 0; turn < 50; turn++) loop.turn(-1);
  assert.ok(fake.waits.includes(0), "it never polled");
  // Then nobody comes for a second, again and again.
  fake.batches.length = 0;
  fake.waiting = (timeout) => fake.now += timeout === 0 ? 0.005 : 1000;
  for (let turn = 0; turn < 100; turn++) loop.turn(-1);
  fake.waits.length = 0;
  for (let turn = 0; turn < 10; turn++) loop.turn(-1);
  assert.deepEqual(fake.waits, Array(10).fill(-1));
});

Deno.test("EventLoop close() closes its own descriptors", () => {
  const fake = new FakeKernel();
  const loop = new EventLoop(fake.sys);
  assert.deepEqual(loop.descriptors, [3, 4]);
  loop.close();
  assert.deepEqual(fake.closed.sort(), [3, 4]);
});

Deno.test("EventLoop works with the real kernel: events, timers, hang-ups", () => {
  const loop = new EventLoop(kernel);
  const pipe = kernel.pipe();
  assert.ok(typeof pipe !== "number");
  const [output, input] = pipe;
  const seen: string[] = [];
  loop.add(output, EPOLLIN, () => {
    const bytes = new Uint8Array(8);
    const count = kernel.read(output, bytes);
    seen.push(`read ${count}`);
    if (count === 0) loop.stop();
  });
  kernel.write(input, new Uint8Array(3));
  loop.after(1, () => {
    seen.push("timer");
    kernel.close(input);
  });
  loop.run();
  assert.deepEqual(seen, ["read 3", "timer", "read 0"]);
  loop.remove(output);
  kernel.close(output);
  loop.close();
});
