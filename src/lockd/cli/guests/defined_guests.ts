import { type Domain, readDomain } from "./domain.ts";
import type { Host } from "./host.ts";
import { StoragePools } from "./storage_pools.ts";
import { readXml } from "./xml_file.ts";

/** The guests that are defined on the host, by name. One whose file cannot be read is left out. */
export function readDefinedGuests(host: Host): Domain[] {
  const directory = `${host.places.config}/qemu`;
  const pools = StoragePools.read(host);
  return host.list(directory).filter((name) => name.endsWith(".xml")).flatMap((name) => {
    const root = readXml(host, `${directory}/${name}`);
    return typeof root === "string" || root.name !== "domain" ? [] : [readDomain(root, pools)];
  });
}
