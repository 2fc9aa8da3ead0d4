// The program with a kernel that fails where the test wants it to: a file named after a call, in the
// directory $FAULTS, holds the errno that the call gives as long as the file is there. Only writes of the
// restart state fail: the log has to be written.
import { main } from "../../src/lockd/cli/main.ts";
import { linuxSys } from "../../src/os/linux.ts";
import type { Sys } from "../../src/os/sys.ts";

const directory = Deno.env.get("FAULTS");
if (directory === undefined) throw new Error("Start with faults: FAULTS names no directory");

const real = linuxSys();
const digits = new Uint8Array(16);

/** The errno that a call has to give, undefined when it is to be made. */
function fault(name: string): number | undefined {
  const fd = real.open(`${directory}/${name}`, 0, 0);
  if (fd < 0) return undefined;
  const length = real.read(fd, digits);
  real.close(fd);
  return Number(new TextDecoder().decode(digits.subarray(0, length)));
}

const stateFiles = new Set<number>();

main(
  new Proxy<Sys>(real, {
    get(target, name) {
      const call: unknown = Reflect.get(target, name);
      if (typeof call !== "function") return call;
      return (...args: unknown[]) => {
        const [first] = args;
        const spared = name === "write" && !stateFiles.has(Number(first));
        const errno = spared ? undefined : fault(String(name));
        const result: unknown = errno === undefined ? Reflect.apply(call, target, args) : -errno;
        if (name === "open" && String(first).includes("restart-exec")) stateFiles.add(Number(result));
        if (name === "close") stateFiles.delete(Number(first));
        return result;
      };
    },
  }),
);
