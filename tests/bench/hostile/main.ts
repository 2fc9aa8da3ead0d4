// The hostile process: carries out the attack that its first argument names, on the socket in its second,
// until it is killed. It says `ready` when what has to be prepared is.
import { SOCK_STREAM } from "../../../src/os/constants.ts";
import { linuxSys } from "../../../src/os/linux.ts";
import { must } from "../../../src/os/system_error.ts";
import { encodeFrame, FRAME_MAX, MessageType } from "../../../src/chassis/wire/frame.ts";
import { LOCK_PROGRAM, LockProcedure } from "../../../src/lockd/wire/lock_protocol.ts";
import { lockspaceFrame } from "../load/frames.ts";
import type { Attack } from "./attack.ts";

const CONNECTIONS = 300;
const PIPELINE = 100_000;
const CHUNK = 1 << 20;

const sys = linuxSys();
const [attack, socket = ""] = Deno.args;
const input = new Uint8Array(1 << 16);

function connect(): number {
  const fd = must(sys.socket(SOCK_STREAM, false), "socket", socket);
  must(sys.connect(fd, socket), "connect", socket);
  return fd;
}

/** Sends as much as the daemon takes now. @returns how much */
function offer(fd: number, bytes: Uint8Array): number {
  return Math.max(0, sys.send(fd, bytes));
}

function repeated(frame: Uint8Array, times: number): Uint8Array {
  const all = new Uint8Array(frame.length * times);
  for (let index = 0; index < times; index++) all.set(frame, index * frame.length);
  return all;
}

function giant(): Uint8Array {
  const header = {
    program: LOCK_PROGRAM,
    version: 1,
    procedure: LockProcedure.NEW,
    type: MessageType.CALL,
    serial: 1,
    status: 0,
  };
  const frame = encodeFrame(header, new Uint8Array(CHUNK));
  new DataView(frame.buffer).setUint32(0, FRAME_MAX);
  return frame;
}

/** Keeps connections that once sent some bytes. */
function hold(bytes: Uint8Array): () => void {
  for (let index = 0; index < CONNECTIONS; index++) offer(connect(), bytes);
  return () => void sys.pollReadable(must(sys.eventfd(), "eventfd", "pause"), -1);
}

function pipeline(): () => void {
  const fd = connect();
  const bytes = repeated(lockspaceFrame(""), PIPELINE);
  return () => {
    for (let at = 0; at < bytes.length;) {
      at += offer(fd, bytes.subarray(at, at + CHUNK));
      must(sys.pollReadable(fd, 100), "poll", socket);
      must(sys.read(fd, input), "read", socket);
    }
  };
}

function giants(): () => void {
  const fd = connect();
  const [first, rest] = [giant(), new Uint8Array(CHUNK)];
  return () => {
    must(sys.write(fd, first), "write", socket);
    for (let left = FRAME_MAX - first.length; left > 0;) {
      left -= must(sys.write(fd, rest.subarray(0, Math.min(left, CHUNK))), "write", socket);
    }
    must(sys.read(fd, input), "read", socket);
  };
}

const begin: Readonly<Record<Attack, () => () => void>> = {
  "slow-readers": () => hold(repeated(lockspaceFrame("/no/such/place/".repeat(500)), 40)),
  "half-messages": () => hold(giant().subarray(0, 60_000)),
  connects: () => () => void sys.close(connect()),
  pipeline,
  giants,
};

const goOn = begin[attack as Attack]();
console.log("ready");
for (;;) goOn();
