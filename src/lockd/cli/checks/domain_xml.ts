import type { Host } from "./host.ts";

/** A guest as libvirt's XML defines it, as far as locks are concerned. */
export interface DefinedGuest {
  readonly name: string;
  /** Paths of the disks that are locked: files and devices that the guest may write. */
  readonly disks: readonly string[];
  /** Number of its leases. */
  readonly leases: number;
}

/** The guests that are defined on the host. */
export function readDefinedGuests(host: Host): DefinedGuest[] {
  const directory = `${host.places.config}/qemu`;
  return host.list(directory).filter((name) => name.endsWith(".xml")).flatMap((name) => {
    const text = host.read(`${directory}/${name}`);
    return text === undefined ? [] : [parseDomain(text)];
  });
}

/** Reads a domain's XML as libvirt writes it: one element after the other, none of these inside its like. */
export function parseDomain(text: string): DefinedGuest {
  const xml = text.replace(/<!--[^]*?-->/g, "");
  return {
    name: decode(/<name>([^<]*)<\/name>/.exec(xml)?.[1] ?? ""),
    disks: [...xml.matchAll(/<disk\b([^>]*)>([^]*?)<\/disk>/g)].flatMap(([, attributes = "", body = ""]) => {
      const device = attribute(attributes, "device") ?? "disk";
      const isWritten = device !== "cdrom" && !/<readonly\s*\/>/.test(body);
      const source = /<source\b([^>]*)>/.exec(body)?.[1] ?? "";
      const path = attribute(source, "file") ?? attribute(source, "dev");
      return isWritten && path !== undefined ? [path] : [];
    }),
    leases: [...xml.matchAll(/<lease\b/g)].length,
  };
}

function attribute(text: string, name: string): string | undefined {
  const value = new RegExp(`\\b${name}\\s*=\\s*(?:'([^']*)'|"([^"]*)")`).exec(text);
  const found = value?.[1] ?? value?.[2];
  return found === undefined ? undefined : decode(found);
}

function decode(text: string): string {
  const names: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", apos: "'", quot: '"' };
  return text.replace(/&(\w+);/g, (whole, name) => names[name] ?? whole);
}
