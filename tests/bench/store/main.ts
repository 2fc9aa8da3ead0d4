// A stand-in for the service manager's descriptor store (sd_pid_notify_with_fds(3)): keeps what comes with FDSTORE=1, closes it at
// FDSTOREREMOVE=1, and does nothing else, so that it costs the measured daemon no more than the real one.
import { linuxSys } from "../../../src/os/linux.ts";
import { SOCK_DGRAM } from "../../../src/os/constants.ts";
import { must } from "../../../src/os/system_error.ts";
import { decodeText } from "../../../src/os/text.ts";

const sys = linuxSys();
const path = Deno.args[0] ?? "";
const socket = must(sys.socket(SOCK_DGRAM, false), "socket", "store");
must(sys.bind(socket, path), "bind", path);
console.log("ready");

const kept = new Map<string, number[]>();
const buffer = new Uint8Array(4096);
for (;;) {
  const message = sys.receiveMessage(socket, buffer, true);
  if (typeof message === "number") throw new Error(`Receive message: errno ${-message}`);
  const fields = new Map(
    decodeText(buffer, 0, message.length).split("\n").map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }),
  );
  const name = fields.get("FDNAME") ?? "stored";
  if (fields.get("FDSTORE") === "1") {
    kept.set(name, [...kept.get(name) ?? [], ...message.descriptors]);
    continue;
  }
  for (const fd of message.descriptors) sys.close(fd);
  if (fields.get("FDSTOREREMOVE") !== "1") continue;
  for (const fd of kept.get(name) ?? []) sys.close(fd);
  kept.delete(name);
}
