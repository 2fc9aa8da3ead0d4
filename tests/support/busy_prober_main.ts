// Asks for a write lock on byte 0 of a file, again and again without a pause, and gives it back at once when
// it gets one. Arguments: the file, "ofd" or "posix", and a file of two 32-bit words, where it counts its
// tries and what it was granted.
import { F_UNLCK, F_WRLCK, O_CLOEXEC, O_RDWR } from "../../src/os/constants.ts";
import { EACCES, EAGAIN } from "../../src/os/errno.ts";
import { linuxSys } from "../../src/os/linux.ts";
import { must } from "../../src/os/system_error.ts";

const [path = "", kind = "ofd", counts = ""] = Deno.args;
const sys = linuxSys();
const shared = sys.map(must(sys.open(counts, O_RDWR | O_CLOEXEC, 0), "open", counts), 8);
if (typeof shared === "number") throw new Error(`Map ${counts}: errno ${-shared}`);
const words = new Uint32Array(shared.bytes.buffer, shared.bytes.byteOffset, 2);
const fd = must(sys.open(path, O_RDWR | O_CLOEXEC, 0), "open", path);
const lock = kind === "ofd" ? sys.ofdLock : sys.posixLock;
for (;;) {
  const result = lock(fd, F_WRLCK, 0, 1);
  if (result === 0) {
    Atomics.add(words, 1, 1);
    lock(fd, F_UNLCK, 0, 1);
  } else if (result !== -EAGAIN && result !== -EACCES) {
    must(result, "lock", path);
  }
  Atomics.add(words, 0, 1);
}
