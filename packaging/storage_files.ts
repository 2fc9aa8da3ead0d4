import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type BuiltProgram, file, type PackageFile, text } from "./files.ts";
import { ROOT } from "./tool.ts";

/** Units of the storage daemon. */
const UNITS = [
  "virtstoraged.service",
  "virtstoraged.socket",
  "virtstoraged-ro.socket",
  "virtstoraged-admin.socket",
] as const;

/** Unit of the exporter, which libvirt has none of. */
const EXPORTER = "virtstoraged-exporter.service";

/** Pages for operators, and those that they refer to. */
const PAGES = ["storage.md", "storage-protocol.md", "protocol.md"] as const;

/**
 * Where the storage daemon's package has its program: by itself, where libvirt has no such daemon, or beside
 * libvirt's own, whose units a drop-in changes.
 */
export type StorageLayout = "alone" | "beside";

/** Directory of the program beside libvirt's own. */
const BESIDE = "usr/libexec/deno-virtstoraged";

/** Where a packaged script finds its runtime. */
export function storageRuntime(layout: StorageLayout): string {
  return layout === "alone" ? "/usr/lib/virtstoraged/deno" : `/${BESIDE}/deno`;
}

/** Every file of the storage daemon's package but those that only its format knows. */
export function storageFiles(layout: StorageLayout, { executable, runtime }: BuiltProgram): PackageFile[] {
  const program = layout === "alone" ? "usr/sbin/virtstoraged" : `${BESIDE}/virtstoraged`;
  const doc = "usr/share/doc/deno-virtstoraged";
  return [
    { ...file(program, executable), mode: 0o755 },
    ...(runtime === undefined ? [] : [{ ...file(storageRuntime(layout).slice(1), runtime), mode: 0o755 }]),
    file("usr/share/bash-completion/completions/virtstoraged", "packaging/completion/virtstoraged"),
    exporterUnit(program),
    ...PAGES.map((page) => file(`${doc}/${page}`, `docs/${page}`)),
    ...(layout === "beside"
      ? [
        file(
          "usr/lib/systemd/system/virtstoraged.service.d/deno-virtstoraged.conf",
          "packaging/storage/deno-virtstoraged.conf",
        ),
        file("usr/share/licenses/deno-virtstoraged/LICENSE", "LICENSE"),
        file(`${doc}/virtstoraged.conf`, "conf/virtstoraged.conf"),
        file(`${doc}/virtstoraged.8`, "man/virtstoraged.8"),
        file(`${doc}/virtstoraged.conf.5`, "man/virtstoraged.conf.5"),
        // libvirt's package has a lens of that name, and no two packages may have one file.
        file(`${doc}/virtstoraged.aug`, "packaging/augeas/virtstoraged.aug"),
      ]
      : [
        ...UNITS.map((unit) => file(`usr/lib/systemd/system/${unit}`, `packaging/systemd/${unit}`)),
        file("etc/libvirt/virtstoraged.conf", "conf/virtstoraged.conf"),
        file("usr/share/augeas/lenses/virtstoraged.aug", "packaging/augeas/virtstoraged.aug"),
        { ...file("usr/share/man/man8/virtstoraged.8.gz", "man/virtstoraged.8"), gzip: true },
        { ...file("usr/share/man/man5/virtstoraged.conf.5.gz", "man/virtstoraged.conf.5"), gzip: true },
      ]),
  ];
}

/** The exporter's unit, with the program where the package has it. */
function exporterUnit(program: string): PackageFile {
  const unit = readFileSync(join(ROOT, "packaging/systemd", EXPORTER), "utf8");
  return text(
    `usr/lib/systemd/system/${EXPORTER}`,
    unit.replace("ExecStart=/usr/sbin/virtstoraged ", `ExecStart=/${program} `),
  );
}
