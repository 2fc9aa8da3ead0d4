import { readdirSync } from "node:fs";
import { join } from "node:path";
import { packageScript } from "./package_script.ts";
import { ROOT } from "./tool.ts";

/**
 * How a package takes the place of libvirt's files: dpkg diverts libvirt's own but the units (`diverted`), or
 * ours lie elsewhere and links to them are put into the places by rpm/divert (`linked`).
 */
export type Layout = "diverted" | "linked";

/** What a file of a package becomes of. */
export interface PackageFile {
  /** Path in the package, without a slash in front. */
  readonly target: string;
  /** Absolute path of what is copied, or the text itself. */
  readonly content: { readonly source: string } | { readonly text: string };
  readonly mode: number;
  /** Man pages and changelogs are compressed. */
  readonly gzip: boolean;
}

/** A program that was built, and what it needs. */
export interface BuiltProgram {
  /** The program's file. */
  readonly executable: string;
  /** The Deno that a program in the form of a script runs with; undefined for a self-contained program. */
  readonly runtime: string | undefined;
}

/** Units of the daemon, which libvirt has too: ours lie elsewhere, and links are put before libvirt's. */
export const DAEMON_UNITS = ["virtlockd.service", "virtlockd.socket", "virtlockd-admin.socket"] as const;

/** Units that libvirt does not have. */
export const OTHER_UNITS = [
  "virtlockd-exporter.service",
  "virtlockd-deputy.socket",
  "virtlockd-deputy@.service",
] as const;

/** The pages of docs/: what an operator needs refers to the others. */
const PAGES = readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"));

/** For a unit that is not ours or is masked. In the linked layout the script `divert` puts a link there. */
const DROP_IN = "usr/lib/systemd/system/virtlockd.service.d/deno-virtlockd.conf";

const OURS = "usr/share/deno-virtlockd";
const DOC = "usr/share/doc/deno-virtlockd";

/** Directory of the program in the linked layout. */
const LINKED_PROGRAM = "usr/libexec/deno-virtlockd";

/** Where a packaged script finds its runtime. */
export function installedRuntime(layout: Layout): string {
  return layout === "diverted" ? "/usr/lib/virtlockd/deno" : `/${LINKED_PROGRAM}/deno`;
}

/** Every file of a package but those that only its format knows. */
export function packageFiles(layout: Layout, program: BuiltProgram): PackageFile[] {
  const linked = layout === "linked";
  return [
    {
      ...file(linked ? `${LINKED_PROGRAM}/virtlockd` : "usr/sbin/virtlockd", program.executable),
      mode: 0o755,
    },
    ...(program.runtime === undefined
      ? []
      : [{ ...file(installedRuntime(layout).slice(1), program.runtime), mode: 0o755 }]),
    ...DAEMON_UNITS.map((unit) =>
      file(`${linked ? OURS : "usr/lib/virtlockd/system"}/${unit}`, `packaging/systemd/${unit}`)
    ),
    ...OTHER_UNITS.map((unit) => file(`usr/lib/systemd/system/${unit}`, `packaging/systemd/${unit}`)),
    file(linked ? `${OURS}/crash_safety.conf` : DROP_IN, "packaging/systemd/crash_safety.conf"),
    file(`${linked ? OURS : "usr/share/augeas/lenses"}/virtlockd.aug`, "packaging/augeas/virtlockd.aug"),
    compressed(`${linked ? OURS : "usr/share/man/man8"}/virtlockd.8.gz`, "man/virtlockd.8"),
    compressed("usr/share/man/man5/virtlockd.conf.5.gz", "man/virtlockd.conf.5"),
    file("etc/logrotate.d/deno-virtlockd", "packaging/logrotate/virtlockd"),
    file("usr/share/bash-completion/completions/virtlockd", "packaging/completion/virtlockd"),
    file(`${DOC}/examples/openrc/virtlockd.initd`, "packaging/openrc/virtlockd.initd"),
    file(`${DOC}/examples/openrc/virtlockd.confd`, "packaging/openrc/virtlockd.confd"),
    file(`${DOC}/examples/virtlockd.conf`, "conf/virtlockd.conf"),
    file(`${DOC}/examples/virtlockd-alerts.yml`, "conf/virtlockd-alerts.yml"),
    { ...file(`${DOC}/examples/virtlockd-fence`, "conf/virtlockd-fence"), mode: 0o755 },
    ...PAGES.map((page) => file(`${DOC}/${page}`, `docs/${page}`)),
    ...(linked ? linkedOnly() : []),
  ];
}

/** The script that puts links into the places of libvirt's files, and what dpkg has elsewhere. */
function linkedOnly(): PackageFile[] {
  return [
    { ...text(`${LINKED_PROGRAM}/divert`, packageScript("rpm/divert")), mode: 0o755 },
    file("usr/share/licenses/deno-virtlockd/LICENSE", "LICENSE"),
    file("usr/share/selinux/packages/deno-virtlockd.cil", "packaging/selinux/deno-virtlockd.cil"),
  ];
}

/** A file whose text is made. */
export function text(target: string, content: string): PackageFile {
  return { target, content: { text: content }, mode: 0o644, gzip: false };
}

/** A file of the source tree, or one outside it by an absolute path. */
export function file(target: string, source: string): PackageFile {
  const path = source.startsWith("/") ? source : join(ROOT, source);
  return { target, content: { source: path }, mode: 0o644, gzip: false };
}

function compressed(target: string, source: string): PackageFile {
  return { ...file(target, source), gzip: true };
}
