// A stand-in for the service manager's descriptor store (sd_pid_notify_with_fds(3)): keeps what comes with
// FDSTORE=1, closes it at FDSTOREREMOVE=1, and does nothing else, so that it costs the measured daemon no
// more than the real one.
import { linuxSys } from "../../../src/os/linux.ts";
import { SOCK_DGRAM } from "../../../src/os/constants.ts";
import { must } from "../../../src/os/system_error.ts";
import { decodeText } from "../../../src/os/text.ts";

const STORE = "FDSTORE=1\nFDNAME=";
const REMOVE = "FDSTOREREMOVE=1\nFDNAME=";

const sys = linuxSys();
const path = Deno.args[0] ?? "";
const socket = must(sys.socket(SOCK_DGRAM, false), "socket", "store");
must(sys.bind(socket, path), "bind", path);
console.log("ready");

/** By name; a queue of locks is two descriptors. */
const kept = new Map<string, readonly number[]>();
const buffer = new Uint8Array(4096);
for (;;) {
  const message = sys.receiveMessage(socket, buffer, true);
  if (typeof message === "number") throw new Error(`Receive message: errno ${-message}`);
  const text = decodeText(buffer, 0, message.length);
  if (text.startsWith(STORE)) {
    const end = text.indexOf("\n", STORE.length);
    kept.set(text.slice(STORE.length, end < 0 ? undefined : end), message.descriptors);
  } else if (text.startsWith(REMOVE)) {
    const name = text.slice(REMOVE.length);
    for (const fd of kept.get(name) ?? []) sys.close(fd);
    kept.delete(name);
  } else {
    for (const fd of message.descriptors) sys.close(fd);
  }
}
