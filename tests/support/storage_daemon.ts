import assert from "node:assert/strict";
import { XdrReader } from "../../src/chassis/wire/xdr_reader.ts";
import type { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import { ConnectProcedure } from "../../src/storaged/wire/remote_protocol.ts";
import { Place } from "./place.ts";
import { testProgram } from "./programs.ts";
import { shielded } from "./shielded.ts";
import { RawClient } from "./raw_client.ts";
import { answerOf, remoteFrame } from "./storage_stage.ts";
import { TestProcess } from "./test_process.ts";
import { until } from "./until.ts";

const MAIN = testProgram(new URL("../../main.ts", import.meta.url));

/** The command line that runs the program in a place. */
function commandLine(place: Place, args: readonly string[]): string[] {
  return place.command(runtimeLine(args));
}

function runtimeLine(args: readonly string[]): string[] {
  return [Deno.execPath(), "run", "-A", "--no-check", MAIN, "virtstoraged", ...args];
}

/** Seconds after which storage is not taken for hung on the busiest of hosts. */
export const AMPLE = 60;

/** A place whose daemon takes storage for hung after so many seconds. */
export function placeWithLimit(seconds: number): Place {
  const place = Place.create();
  Deno.mkdirSync(`${place.env["XDG_CONFIG_HOME"]}/libvirt`, { recursive: true });
  writeLimit(place, seconds);
  return place;
}

/** What the next daemon of such a place begins with. */
export function writeLimit(place: Place, seconds: number): void {
  const file = `${place.env["XDG_CONFIG_HOME"]}/libvirt/virtstoraged.conf`;
  Deno.writeTextFileSync(file, `storage_timeout = ${seconds}\n`);
}

/** The program, in a place. @param line runs it there */
function program(
  place: Place,
  line: readonly string[],
  stdout: "null" | "piped",
  env: Readonly<Record<string, string>> = {},
): Deno.Command {
  const [file = "", ...rest] = line;
  return new Deno.Command(file, {
    args: rest,
    env: { ...place.env, ...env },
    clearEnv: true,
    stdin: "null",
    stdout,
    stderr: "null",
  });
}

/** A storage daemon of a session, in a place of its own. */
export class StorageDaemon implements AsyncDisposable {
  readonly place: Place;
  readonly process: Deno.ChildProcess;
  readonly status: Promise<Deno.CommandStatus>;
  readonly #owner: boolean;

  private constructor(place: Place, process: Deno.ChildProcess, owner: boolean) {
    this.place = place;
    this.process = process;
    this.status = process.status;
    this.#owner = owner;
  }

  get run(): string {
    return `${this.place.env["XDG_RUNTIME_DIR"]}/libvirt`;
  }

  get socket(): string {
    return `${this.run}/virtstoraged-sock`;
  }

  /**
   * Starts one and waits until it serves.
   *
   * @param place where; undefined for one that goes with the daemon
   * @param env besides the place's
   */
  static async start(
    args: readonly string[] = [],
    place?: Place,
    env: Readonly<Record<string, string>> = {},
  ): Promise<StorageDaemon> {
    const there = place ?? Place.create();
    const process = program(there, there.command(shielded(runtimeLine(args))), "null", env).spawn();
    const daemon = new StorageDaemon(there, process, place === undefined);
    await until("the storage daemon", () => {
      try {
        RawClient.connect(daemon.socket)[Symbol.dispose]();
        return true;
      } catch {
        return false;
      }
    });
    return daemon;
  }

  /** A client that has opened the session's storage. */
  open(): StorageClient {
    const client = new StorageClient(RawClient.connect(this.socket));
    client.call(ConnectProcedure.AUTH_LIST);
    client.call(ConnectProcedure.OPEN, (writer) => {
      writer.optionalString("storage:///session");
      writer.u32(0);
    });
    return client;
  }

  /**
   * From now on storage is taken for hung after so many seconds, in a {@link placeWithLimit}. Of what is
   * under way nothing changes.
   */
  limit(seconds: number): void {
    writeLimit(this.place, seconds);
    this.process.kill("SIGHUP");
    // The signal came before two round trips: it has been dealt with behind them.
    this.open()[Symbol.dispose]();
  }

  /** Runs a command that asks this daemon, which must succeed. @returns what it wrote */
  async command(...args: readonly string[]): Promise<string> {
    const { code, stdout } = await program(this.place, commandLine(this.place, args), "piped").output();
    assert.equal(code, 0);
    return new TextDecoder().decode(stdout);
  }

  /** Starts a command that goes on until it is disposed of. */
  startCommand(...args: readonly string[]): TestProcess {
    return new TestProcess(commandLine(this.place, args), this.place.env, "/");
  }

  /** Its helper processes. */
  helpers(): number[] {
    return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => {
      try {
        const line = Deno.readTextFileSync(`/proc/${pid}/cmdline`);
        return line.includes("internal-work") &&
          Deno.readTextFileSync(`/proc/${pid}/environ`).includes(this.place.directory);
      } catch {
        return false;
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.process.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.status;
    if (this.#owner) this.place[Symbol.dispose]();
  }
}

/** A client that waits for each answer. */
export class StorageClient implements Disposable {
  readonly raw: RawClient;
  #serial = 0;

  constructor(raw: RawClient) {
    this.raw = raw;
  }

  /** Calls a procedure. @returns the payload's reader @throws when it is refused */
  call(procedure: number, encode: (writer: XdrWriter) => void = () => {}): XdrReader {
    const answer = this.ask(procedure, encode);
    assert.ok(answer instanceof XdrReader, String(answer));
    return answer;
  }

  /** Calls a procedure. @returns the payload's reader, or the refusal as text */
  ask(procedure: number, encode: (writer: XdrWriter) => void = () => {}): XdrReader | string {
    this.raw.send(remoteFrame(procedure, ++this.#serial, encode));
    return answerOf(this.raw.receive());
  }

  [Symbol.dispose](): void {
    this.raw[Symbol.dispose]();
  }
}
