import { EPOLLIN } from "../../../src/os/constants.ts";
import { EVENT_BATCH } from "../../../src/os/event_sys.ts";
import type { Sys } from "../../../src/os/sys.ts";
import { must } from "../../../src/os/system_error.ts";
import { Client } from "./client.ts";
import { registerFrame } from "./frames.ts";
import type { Latencies } from "./latencies.ts";
import type { Script } from "./script.ts";

/** Runs operations until told to stop. */
export interface Driver {
  /**
   * @param milliseconds when to begin no more operations
   * @param most operations at most
   */
  run(milliseconds: number, most: number, latencies: Latencies): void;
}

/** One client on blocking sockets, as libvirt's own: it sleeps until its reply comes. */
export class SingleDriver implements Driver {
  readonly #sys: Sys;
  readonly #path: string;
  readonly #script: Script;
  readonly #client: Client | undefined;

  constructor(sys: Sys, path: string, script: Script) {
    this.#sys = sys;
    this.#path = path;
    this.#script = script;
    if (!script.connects) {
      this.#client = new Client(sys, path);
      this.#client.call(registerFrame(0));
    }
  }

  run(milliseconds: number, most: number, latencies: Latencies): void {
    const script = this.#script;
    let now = this.#sys.monotonic();
    const end = now + milliseconds;
    for (let count = 0; count < most && now < end; count++) {
      const started = now;
      const client = this.#client ?? new Client(this.#sys, this.#path);
      for (let step = 0; step < script.length; step++) client.call(script.frame(step));
      if (script.connects) client.close();
      now = this.#sys.monotonic();
      latencies.add(now - started);
    }
  }
}

interface Slot {
  readonly script: Script;
  client: Client;
  step: number;
  started: number;
}

/** Many clients on one epoll set, each with one request in flight. */
export class ManyDriver implements Driver {
  readonly #sys: Sys;
  readonly #path: string;
  readonly #epoll: number;
  readonly #waiting: (Slot | undefined)[] = [];
  readonly #resting: Slot[] = [];
  readonly #fds = new Int32Array(EVENT_BATCH);
  readonly #events = new Uint32Array(EVENT_BATCH);

  constructor(sys: Sys, path: string, scripts: readonly Script[]) {
    this.#sys = sys;
    this.#path = path;
    this.#epoll = must(sys.epollCreate(), "epoll_create1", "load");
    scripts.forEach((script, index) => {
      const client = new Client(sys, path);
      if (script.connects) client.close();
      else {
        client.call(registerFrame(index));
        this.#watch(client);
      }
      this.#resting.push({ script, client, step: 0, started: 0 });
    });
  }

  run(milliseconds: number, most: number, latencies: Latencies): void {
    const end = this.#sys.monotonic() + milliseconds;
    let begun = 0;
    let running = 0;
    const begin = (slot: Slot, now: number) => {
      if (begun >= most || now >= end) {
        this.#resting.push(slot);
        running--;
        return;
      }
      begun++;
      slot.step = 0;
      slot.started = now;
      if (slot.script.connects) {
        slot.client = new Client(this.#sys, this.#path);
        this.#watch(slot.client);
      }
      this.#waiting[slot.client.fd] = slot;
      slot.client.send(slot.script.frame(0));
    };
    const rested = this.#resting.splice(0);
    running = rested.length;
    for (const slot of rested) begin(slot, this.#sys.monotonic());
    while (running > 0) {
      const count = must(this.#sys.epollWait(this.#epoll, this.#fds, this.#events, -1), "epoll_wait", "load");
      for (let index = 0; index < count; index++) {
        const slot = this.#waiting[this.#fds[index] as number];
        if (slot === undefined) throw new Error("Receive reply: the daemon sent one that nobody waits for");
        slot.client.receive();
        if (++slot.step < slot.script.length) {
          slot.client.send(slot.script.frame(slot.step));
          continue;
        }
        this.#waiting[slot.client.fd] = undefined;
        if (slot.script.connects) slot.client.close();
        const now = this.#sys.monotonic();
        latencies.add(now - slot.started);
        begin(slot, now);
      }
    }
  }

  #watch(client: Client): void {
    must(this.#sys.epollControl(this.#epoll, 1, client.fd, EPOLLIN), "epoll_ctl", "client");
  }
}
