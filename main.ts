// The one entry point, and the list of the family's daemons: the name that the program is called by chooses
// one of them, or the first argument does. The build makes a program of each; see packaging/bundle.ts.
//
// Where things are, lowest first; a file imports only from its room and those before:
//
// - src/base: what every room may rely on: invariant(), lists.
// - src/os: the kernel. libc through FFI as one surface, Sys, which tests replace; the ledger of descriptors.
// - src/chassis: what every daemon of the family needs, and which knows none of them. wire/ (bytes in, values
//   out), config/, log/, event/ (the one loop), rpc/ (clients), systemd/, metrics/, admin/, start/, cli/.
// - src/etcd: what the lock daemon and its link with etcd say to each other (wire/), and that link (link/), a
//   program of its own: see packaging/contents.ts.
// - src/lockd: the lock daemon. lockspace/ (who holds what), storage/ (files that may hang), cluster/ (locks
//   that other hosts respect), journal/ and restart/ (what outlives a crash, what goes to the next image),
//   programs/, status/, reporting/, daemon/ (the parts put together), handover/, crash/, life/ (start and
//   end), cli/.
// - src/storaged: the storage daemon. model/ and pools/ (what there is), volumes/ and backends/ (what is done
//   with it), work/ (processes that may hang), xml/, wire/, rpc/, programs/ (clients), daemon/, cli/.
// - tests: unit/ has the folders of src; integration/ runs whole daemons; e2e/ real libvirt and systemd.
//
// docs/architecture.md goes on from here; CONTRIBUTING.md says how to add something.
import { runFamily } from "./src/chassis/cli/family.ts";

await runFamily({
  virtlockd: () => import("./src/lockd/cli/main.ts"),
  virtstoraged: () => import("./src/storaged/cli/main.ts"),
});
