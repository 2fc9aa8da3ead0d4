// A process that makes system calls as a test tells it to: the daemon's holder, a stranger with a lock, or
// the process that a daemon takes over from. One call in a line of standard input, `[number, method,
// ...arguments]`; one result in a line of output.
import { linuxSys } from "../../src/os/linux.ts";

const sys = linuxSys();
const input = new Uint8Array(1 << 16);

function value(argument: unknown): unknown {
  const encoded = typeof argument === "object" && argument !== null && "base64" in argument;
  return encoded ? Uint8Array.fromBase64(String(argument.base64)) : argument;
}

function receive(fd: unknown): unknown {
  const chunk = new Uint8Array(65536);
  const received = sys.receiveMessage(Number(fd), chunk, true);
  return typeof received === "number" ? received : chunk.subarray(0, received.length).toBase64();
}

function answer(line: string): void {
  const [number, method, ...rest]: unknown[] = JSON.parse(line);
  const call: unknown = Reflect.get(sys, String(method));
  const result: unknown = method === "receive"
    ? receive(rest[0])
    : typeof call === "function"
    ? Reflect.apply(call, sys, rest.map(value))
    : `no such call: ${method}`;
  console.log(`${number} ${JSON.stringify(result ?? null)}`);
}

let text = "";
for (;;) {
  const count = Deno.stdin.readSync(input);
  if (count === null) break;
  text += new TextDecoder().decode(input.subarray(0, count));
  const lines = text.split("\n");
  text = lines.pop() ?? "";
  lines.forEach(answer);
}
