import assert from "node:assert/strict";
import { OwnerJudge } from "../../../../src/lockd/journal/owner_judge.ts";
import { EINVAL, EMFILE, ENFILE, ENOENT, ESRCH } from "../../../../src/os/errno.ts";
import { owner } from "./journal_fixture.ts";

const PIDFD = 50;
const STAT = 51;

/** What the kernel says of the process with number 7. */
interface Process {
  /** Of pidfd_open(2). */
  readonly pidfd?: number;
  /** Of opening and reading /proc/7/stat. */
  readonly opened?: number;
  readonly read?: number;
  readonly start?: number;
}

function judge({ pidfd = PIDFD, opened = STAT, read, start = 1007 }: Process) {
  const closed: number[] = [];
  const text = `7 (guest) Z 1 1 1 0 -1 0${" 0".repeat(12)} ${start} 0`;
  const judged = new OwnerJudge({
    pidfdOpen: () => pidfd,
    open: () => opened,
    read: (_fd, into) => read ?? new TextEncoder().encodeInto(text, into).written,
    close: (fd) => closed.push(fd),
  });
  return { judged, closed };
}

/** The verdict on an owner, what is watched and gone then, and what was closed. */
function verdict(process: Process, start = 1007) {
  const { judged, closed } = judge(process);
  const told = judged.judge({ ...owner(7), start });
  return [told, judged.watched.length, judged.gone.length, closed.filter((fd) => fd !== STAT)];
}

Deno.test("OwnerJudge takes the process that was recorded for alive, also when only other threads of it run", () => {
  assert.deepEqual(verdict({}), ["alive", 1, 0, []]);
});

Deno.test("OwnerJudge takes a process for dead that is not there, or whose number another one or a thread has", () => {
  assert.deepEqual(verdict({ pidfd: -ESRCH }), ["dead", 0, 1, []]);
  assert.deepEqual(verdict({ opened: -ENOENT }), ["dead", 0, 1, [PIDFD]]);
  assert.deepEqual(verdict({ read: -ESRCH }), ["dead", 0, 1, [PIDFD]]);
  assert.deepEqual(verdict({ start: 2000 }), ["dead", 0, 1, [PIDFD]]);
  assert.deepEqual(verdict({ pidfd: -EINVAL, start: 2000 }), ["dead", 0, 1, []]);
  assert.deepEqual(verdict({ pidfd: -ENOENT, start: 2000 }), ["dead", 0, 1, []]);
});

Deno.test("OwnerJudge takes nobody for dead because the kernel does not answer", () => {
  assert.deepEqual(verdict({ pidfd: -EMFILE }), ["unjudged", 0, 0, []]);
  assert.deepEqual(verdict({ opened: -ENFILE }), ["unjudged", 0, 0, [PIDFD]]);
  assert.deepEqual(verdict({ read: -12 }), ["unjudged", 0, 0, [PIDFD]]);
  assert.deepEqual(verdict({ read: 0 }), ["unjudged", 0, 0, [PIDFD]]);
});

Deno.test("OwnerJudge judges nobody whose start time was not recorded", () => {
  assert.deepEqual(verdict({}, 0), ["unjudged", 0, 0, []]);
  assert.deepEqual(verdict({ pidfd: -ESRCH }, 0), ["unjudged", 0, 0, []]);
});

Deno.test("OwnerJudge open() tells a process that is gone for certain from one that cannot be told", () => {
  assert.equal(judge({}).judged.open(7, 1007), PIDFD);
  assert.equal(judge({ pidfd: -ESRCH }).judged.open(7, 0), -ESRCH);
  assert.equal(judge({}).judged.open(7, 0), -EINVAL);
  assert.equal(judge({ pidfd: -EMFILE, opened: -EMFILE }).judged.open(7, 1007), -EMFILE);
});
