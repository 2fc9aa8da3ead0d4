import { NO_SOURCE, type PoolSource } from "../model/pool_definition.ts";
import { poolType } from "../model/pool_types.ts";
import { storageError } from "../model/storage_error.ts";
import { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import type { WorkContext } from "../work/operation.ts";
import { parseSource, writeSource } from "../xml/pool_source_xml.ts";
import { XmlWriter } from "../xml/xml_writer.ts";
import { runTool } from "./mount.ts";

/** The directories that a server exports, from what showmount(8) says: a path, then who may mount it. */
export function parseExports(text: string): string[] {
  return text.split("\n").flatMap((line) => /^(\/.*\S) +\S+$/.exec(line)?.[1] ?? []);
}

/**
 * What can be mounted from a server, as `<sources>`.
 *
 * @param spec a `<source>` with the server's name
 * @throws RpcFailure, WorkCancelled
 */
export function findNetworkSources(context: WorkContext, spec: string | undefined): string {
  const type = poolType("netfs");
  if (spec === undefined || type === undefined) {
    throw storageError("invalid-argument", "hostname must be specified for netfs sources");
  }
  const [host, ...others] = parseSource(type, spec).hosts;
  if (host === undefined || others.length > 0) {
    throw storageError("unsupported", "Expected exactly 1 host for the storage pool");
  }
  const writer = new XmlWriter();
  writer.element("sources", {}, () => {
    for (const dir of exportsOf(context, host.name).map(checkExport)) {
      const source: PoolSource = { ...NO_SOURCE, hosts: [{ ...host, port: 0 }], dir, format: "nfs" };
      writeSource(writer, type, source);
    }
  });
  return writer.text;
}

function exportsOf(context: WorkContext, host: string): string[] {
  // A name that looked like an option would be one to showmount.
  if (host.startsWith("-")) throw storageError("invalid-argument", `'${host}' is no name of a host`);
  try {
    return parseExports(runTool(context, "showmount", ["--no-headers", "--exports", host]));
  } catch (error) {
    if (!(error instanceof RpcFailure)) throw error;
    throw storageError("failed", `no storage pools were found on host '${host}'`);
  }
}

function checkExport(path: string): string {
  if (!path.endsWith("/")) return path;
  throw storageError("internal", `invalid netfs path (ends in /): ${path}`);
}
