import { encodeText } from "../../src/os/text.ts";
import { EACCES, ENOENT } from "../../src/os/errno.ts";
import type { KindSys } from "../../src/lockd/cluster/host/machine_kind.ts";

/** Files of a server of bare metal with a sane firmware. */
export const METAL: Readonly<Record<string, string>> = {
  "/sys/class/dmi/id/product_uuid": "d4a0f1de-6f0c-4c39-9a7b-0f4d2f9b1c55\n",
  "/sys/class/dmi/id/product_serial": "CZJ123\n",
  "/sys/class/dmi/id/board_serial": "B-77\n",
  "/sys/class/dmi/id/sys_vendor": "HPE\n",
  "/sys/class/dmi/id/product_name": "ProLiant DL380 Gen10\n",
  "/etc/machine-id": "0b1c2d3e4f5061728394a5b6c7d8e9f0\n",
  "/proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu vme de\n\nprocessor\t: 1\n",
};

/** A machine whose kernel tells this, and nothing else. */
export function playedMachine(
  files: Readonly<Record<string, string | undefined>> = METAL,
  pids = "pid:[4026531836]",
): KindSys {
  const open = new Map<number, Uint8Array>();
  return {
    readlink: (path) => path === "/proc/self/ns/pid" ? pids : -ENOENT,
    access: (path) => files[path] === undefined ? -ENOENT : files[path] === "closed" ? -EACCES : 0,
    open: (path) => {
      const text = files[path];
      if (text === undefined) return -ENOENT;
      const fd = open.size + 3;
      open.set(
        fd,
        path.endsWith("/raw") ? Uint8Array.from(text, (char) => char.charCodeAt(0)) : encodeText(text),
      );
      return fd;
    },
    read: (fd, into) => {
      const bytes = open.get(fd) ?? new Uint8Array();
      open.set(fd, new Uint8Array());
      into.set(bytes.subarray(0, into.length));
      return Math.min(bytes.length, into.length);
    },
    close: () => 0,
  };
}
