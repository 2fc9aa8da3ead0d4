import { deepStrictEqual } from "node:assert/strict";
import { ConfigError } from "../../src/chassis/config/config_error.ts";
import { parseConfigFile } from "../../src/chassis/config/config_file.ts";
import { loadSettings } from "../../src/chassis/config/settings.ts";
import { LOCK_SETTINGS } from "../../src/lockd/identity/settings.ts";
import { decodeText, encodeText } from "../../src/os/text.ts";
import { readState } from "../../src/lockd/restart/read_state.ts";
import { RestartStateError } from "../../src/lockd/restart/restart_state_error.ts";
import { frameTotal } from "../../src/chassis/wire/frame_total.ts";
import * as adminCodec from "../support/admin_codec.ts";
import * as lockCodec from "../support/lock_codec.ts";
import * as admin from "../../src/chassis/wire/admin_protocol.ts";
import * as lock from "../../src/lockd/wire/lock_protocol.ts";
import { decodeRpcFailure } from "../../src/chassis/wire/rpc_error.ts";
import { decodePage, decodePageArgs } from "../../src/lockd/wire/status_protocol.ts";
import { decodeParams } from "../../src/chassis/wire/typed_param.ts";
import { XdrError } from "../../src/chassis/wire/xdr_error.ts";
import { XdrReader } from "../../src/chassis/wire/xdr_reader.ts";
import { XdrWriter } from "../../src/chassis/wire/xdr_writer.ts";
import { Random } from "../support/random.ts";
import { FuzzFailure, type FuzzOptions, type FuzzReport } from "./fuzz_run.ts";
import { MessageSource, type Vocabulary } from "./message_source.ts";

type Reader<T> = (reader: XdrReader) => T;
type Writer<T> = (writer: XdrWriter, value: T) => void;

const WORDS: Vocabulary = {
  lockspaces: ["/a", "/b/c", "relative"],
  names: ["x", "a longer name than most", "\u00fc\u{1f512}"],
  files: ["/dev/x", "y"],
  pids: [1, 4096, 0xffffffff],
  admin: false,
};

const decodeOnly: readonly Reader<unknown>[] = [
  adminCodec.decodeLibVersion,
  adminCodec.decodeServerList,
  adminCodec.decodeClientList,
  adminCodec.decodeOutputs,
  adminCodec.decodeFilters,
  (reader) => decodeParams(reader, 32, 4194304),
  decodeRpcFailure,
  decodePage,
  decodePageArgs,
];

/** What is read and can be written again. */
const pairs: readonly ((bytes: Uint8Array) => void)[] = [
  both(lock.decodeRegister, lockCodec.encodeRegister),
  both(lock.decodeRestrict, lockCodec.encodeRestrict),
  both(lock.decodeNew, lockCodec.encodeNew),
  both(lock.decodeResource, lockCodec.encodeResource),
  both(lock.decodeCreateLockspace, lockCodec.encodeCreateLockspace),
  both(admin.decodeListServers, adminCodec.encodeListServers),
  both(admin.decodeServerArgs, adminCodec.encodeServerArgs),
  both(admin.decodeSetParams, adminCodec.encodeSetParams),
  both(admin.decodeListClients, adminCodec.encodeListClients),
  both(admin.decodeLookupClient, adminCodec.encodeLookupClient),
  both(admin.decodeClientArgs, adminCodec.encodeClientArgs),
  both(admin.decodeSetLogging, adminCodec.encodeSetLogging),
];

const CONFIG = `log_level = 3 # a comment
log_outputs = "1:stderr 2:file:/x"
max_clients = 1024; admin_max_clients = 5
list = [ "a", 'b', ]
text = """more
than one line"""
`;
const STATE = Deno.readTextFileSync(new URL("../fixtures/restart_state_libvirt_9.json", import.meta.url));

/**
 * Gives spoilt input to everything that reads bytes from outside: it must be read, or refused in the way that
 * is foreseen.
 */
export class DecoderFuzz {
  /** Runs until so many inputs were read or the time is up. @throws FuzzFailure */
  run({ seed, messages, seconds }: FuzzOptions): FuzzReport {
    const begun = performance.now();
    let count = 0;
    for (; count < messages && performance.now() - begun < seconds * 1000; count++) {
      const random = new Random(seed).split(count);
      try {
        this.#one(random);
      } catch (error) {
        throw new FuzzFailure(
          `Decoder fuzz, seed ${seed}, input ${count}`,
          { target: "core", pieces: [] },
          error,
        );
      }
    }
    return { messages: count, succeeded: 0, seconds: (performance.now() - begun) / 1000, reExecs: 0 };
  }

  #one(random: Random): void {
    if (random.once(500)) return document(random);
    const bytes = random.once(5)
      ? random.bytes(random.below(100))
      : new MessageSource(random, { ...WORDS, admin: random.once(2) }).next();
    total(bytes);
    const payload = bytes.subarray(Math.min(28, bytes.length));
    if (random.once(2)) foreseen(() => random.pick(decodeOnly)(new XdrReader(payload)));
    else foreseen(() => random.pick(pairs)(payload));
    deepStrictEqual(encodeText(decodeText(bytes)), bytes);
  }
}

/** The length of a message is the same whether more bytes follow or not, and known as soon as it can be. */
function total(bytes: Uint8Array): void {
  const whole = frameTotal(bytes, 0, bytes.length);
  for (const length of [4, 27, 28, 31, 32]) {
    if (length >= bytes.length) break;
    const part = frameTotal(bytes, 0, length);
    if (part !== 0 && part !== whole) {
      throw new Error(`Total length ${whole}, but ${part} of ${length} bytes`);
    }
  }
}

/** Configuration and restart state. */
function document(random: Random): void {
  if (random.once(2)) {
    const text = spoilText(CONFIG, random);
    foreseen(() => loadSettings(LOCK_SETTINGS, parseConfigFile(text, "virtlockd.conf")));
  } else {
    foreseen(() => readState(encodeText(spoilText(STATE, random))));
  }
}

function spoilText(text: string, random: Random): string {
  const bytes = encodeText(text);
  for (let times = 1 + random.below(4); times > 0; times--) {
    const at = random.below(bytes.length);
    if (random.once(2)) bytes[at] = random.pick([0, 10, 34, 35, 44, 48, 57, 91, 93, 123, 125, 255]);
    else bytes.copyWithin(at, random.below(bytes.length), random.below(bytes.length));
  }
  return decodeText(bytes.subarray(0, random.once(3) ? random.below(bytes.length) : bytes.length));
}

/** Runs something that may refuse its input. */
function foreseen(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    const known = error instanceof XdrError || error instanceof ConfigError ||
      error instanceof RestartStateError;
    if (!known) throw error;
  }
}

/** What was read and written is read as the same. */
function both<T>(read: Reader<T>, write: Writer<T>): (bytes: Uint8Array) => void {
  return (bytes) => {
    const value = read(new XdrReader(bytes));
    const writer = new XdrWriter();
    write(writer, value);
    deepStrictEqual(read(new XdrReader(writer.bytes)), value);
  };
}
