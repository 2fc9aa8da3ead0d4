import assert from "node:assert/strict";
import { type Crossing, crossTo } from "../../../../src/lockd/lockspace/lock_bridge.ts";
import type { LockKind } from "../../../../src/lockd/lockspace/lock_file.ts";
import { F_RDLCK, F_UNLCK, F_WRLCK } from "../../../../src/os/constants.ts";

const EAGAIN = 11;
const NAMES = { [F_RDLCK]: "read", [F_WRLCK]: "write", [F_UNLCK]: "none" } as const;
type Type = keyof typeof NAMES;

/** The kernel's view of one byte that two sides lock, where calls fail as a test says. */
class Byte {
  readonly held: Record<LockKind, Type> = { ofd: F_UNLCK, posix: F_UNLCK };
  readonly calls: string[] = [];
  /** Number of the call, from 1, at which another process takes a read lock, if it can. */
  readerAt = 0;
  /** Number of the call after which it gives that up again. */
  readerGoesAfter = Infinity;
  /** Calls that fail with an errno, by their number. */
  readonly failures = new Map<number, number>();
  #reads = false;

  ofdLock = (_fd: number, type: number) => this.#set("ofd", type as Type);
  posixLock = (_fd: number, type: number) => this.#set("posix", type as Type);

  #set(kind: LockKind, type: Type): number {
    this.calls.push(`${kind} ${NAMES[type]}`);
    const number = this.calls.length;
    const result = this.#result(kind, type, number);
    // What matters: at no moment may a writer come in.
    assert.notDeepEqual(Object.values(this.held), [F_UNLCK, F_UNLCK], `free after ${this.calls.join(", ")}`);
    const writeLocked = Object.values(this.held).includes(F_WRLCK);
    if (number >= this.readerAt && this.readerAt > 0 && !writeLocked) this.#reads = true;
    if (number >= this.readerGoesAfter) this.#reads = false;
    return result;
  }

  #result(kind: LockKind, type: Type, number: number): number {
    const failure = this.failures.get(number);
    if (failure !== undefined) return -failure;
    const other = this.held[kind === "ofd" ? "posix" : "ofd"];
    if (type === F_WRLCK && (other !== F_UNLCK || this.#reads)) return -EAGAIN;
    if (type === F_RDLCK && other === F_WRLCK) return -EAGAIN;
    this.held[kind] = type;
    return 0;
  }
}

function cross(to: LockKind, prepare: (byte: Byte) => void = () => {}, shared = false) {
  const byte = new Byte();
  byte.held[to === "ofd" ? "posix" : "ofd"] = shared ? F_RDLCK : F_WRLCK;
  prepare(byte);
  const crossing = crossTo(byte, 5, shared, to);
  return { crossing, calls: byte.calls, held: `${NAMES[byte.held.posix]} ${NAMES[byte.held.ofd]}` };
}

function sum({ lock, weakened, failure }: Crossing): string {
  return `${lock}${weakened ? " weakened" : ""}${
    failure === undefined ? "" : `: ${failure.call} ${failure.errno}`
  }`;
}

Deno.test("crossTo() goes to a description's lock and back in four steps", () => {
  const there = cross("ofd");
  assert.deepEqual(there.crossing, { lock: "ofd", weakened: false });
  assert.deepEqual(there.calls, ["posix read", "ofd read", "posix none", "ofd write"]);
  assert.equal(there.held, "none write");
  const back = cross("posix");
  assert.deepEqual(back.crossing, { lock: "posix", weakened: false });
  assert.deepEqual(back.calls, ["ofd read", "posix read", "ofd none", "posix write"]);
  assert.equal(back.held, "write none");
});

Deno.test("crossTo() takes a shared lock along as a shared one", () => {
  for (const to of ["ofd", "posix"] as const) {
    const { crossing, calls } = cross(to, undefined, true);
    assert.deepEqual(crossing, { lock: to, weakened: false });
    assert.equal(calls.length, 2);
  }
});

Deno.test("crossTo() stays where it is when the first steps fail", () => {
  for (const number of [1, 2, 3]) {
    const there = cross("ofd", ({ failures }) => failures.set(number, 37));
    const call = ["F_SETLK F_RDLCK", "F_OFD_SETLK F_RDLCK", "F_SETLK F_UNLCK"][number - 1];
    assert.equal(sum(there.crossing), `posix: ${call} 37`);
    assert.equal(there.held, "write none");
  }
});

Deno.test("crossTo() goes back when only the last step fails", () => {
  const there = cross("ofd", ({ failures }) => failures.set(4, 9));
  assert.equal(sum(there.crossing), "posix: F_OFD_SETLK F_WRLCK 9");
  assert.equal(there.held, "write none");
  const back = cross("posix", ({ failures }) => failures.set(4, 9));
  assert.equal(sum(back.crossing), "ofd: F_SETLK F_WRLCK 9");
  assert.equal(back.held, "none write");
});

Deno.test("crossTo() ends with a shared lock of the description while another process reads", () => {
  for (const to of ["ofd", "posix"] as const) {
    for (const readerAt of [1, 2, 3]) {
      const { crossing, held } = cross(to, (byte) => byte.readerAt = readerAt);
      const call = to === "ofd" ? "F_OFD_SETLK F_WRLCK" : "F_SETLK F_WRLCK";
      assert.equal(sum(crossing), `ofd weakened: ${call} ${EAGAIN}`, `to ${to}, reader at ${readerAt}`);
      assert.equal(held, "none read");
    }
  }
});

Deno.test("crossTo() makes it when the reader goes in time", () => {
  const there = cross("ofd", (byte) => {
    byte.readerAt = 1;
    byte.readerGoesAfter = 8;
  });
  assert.deepEqual(there.crossing, { lock: "ofd", weakened: false });
  assert.equal(there.held, "none write");
});

Deno.test("crossTo() never frees the byte, whichever two calls fail", () => {
  for (const to of ["ofd", "posix"] as const) {
    for (let first = 1; first <= 12; first++) {
      for (let second = first; second <= 13; second++) {
        for (const readerAt of [0, 1, 3]) {
          const { crossing, held } = cross(to, (byte) => {
            byte.failures.set(first, 37);
            byte.failures.set(second, 9);
            byte.readerAt = readerAt;
          });
          const at = `to ${to}, calls ${first} and ${second}, reader at ${readerAt}`;
          const [posix, ofd] = held.split(" ");
          const kept = crossing.lock === "ofd" ? ofd : posix;
          // What is said to be whole is; what is said to be weakened is held at least as a shared lock.
          assert.notEqual(kept, "none", `${at}: ${sum(crossing)}, held ${held}`);
          if (!crossing.weakened) assert.equal(kept, "write", `${at}: ${sum(crossing)}, held ${held}`);
        }
      }
    }
  }
});
