import assert from "node:assert/strict";
import { NotifyQueue } from "../../../../src/chassis/systemd/notify_queue.ts";

/** A queue before a manager that answers as it is told. */
class Stage {
  answers: ("sent" | "full" | number)[] = [];
  readonly sent: string[] = [];
  readonly failures: number[] = [];
  writable: (() => void) | undefined;
  readonly queue: NotifyQueue;

  constructor() {
    const socket = {
      fd: 7,
      send: (lines: readonly string[]) => {
        const answer = this.answers.shift() ?? "sent";
        if (answer === "sent") this.sent.push(lines.join(" "));
        return answer;
      },
    };
    const loop = {
      add: (fd: number, _events: number, handler: (events: number) => void) => {
        assert.equal(fd, 7);
        assert.equal(this.writable, undefined);
        this.writable = () => handler(4);
      },
      remove: (fd: number) => {
        assert.equal(fd, 7);
        this.writable = undefined;
      },
    };
    this.queue = new NotifyQueue(socket, loop, (errno) => this.failures.push(errno));
  }
}

Deno.test("NotifyQueue sends at once what the manager takes", () => {
  const stage = new Stage();
  stage.queue.tell(["READY=1", "STATUS=x"]);
  assert.deepEqual(stage.sent, ["READY=1 STATUS=x"]);
  assert.equal(stage.writable, undefined);
});

Deno.test("NotifyQueue keeps what does not fit, and its order", () => {
  const stage = new Stage();
  stage.answers = ["full", "sent", "full", "sent", "sent"];
  stage.queue.tell(["READY=1"]);
  stage.queue.tell(["STATUS=a"]);
  stage.queue.tell(["STATUS=b"]);
  assert.deepEqual(stage.sent, []);
  stage.writable?.();
  assert.deepEqual(stage.sent, ["READY=1"]);
  stage.writable?.();
  assert.deepEqual(stage.sent, ["READY=1", "STATUS=a", "STATUS=b"]);
  assert.equal(stage.writable, undefined);
});

Deno.test("NotifyQueue says when the manager cannot be reached, and goes on", () => {
  const stage = new Stage();
  stage.answers = [111, "full", 111, "sent"];
  stage.queue.tell(["STATUS=a"]);
  stage.queue.tell(["STATUS=b"]);
  stage.queue.tell(["STATUS=c"]);
  stage.writable?.();
  assert.deepEqual(stage.failures, [111, 111]);
  assert.deepEqual(stage.sent, ["STATUS=c"]);
});
