import { listedDaemons } from "./daemons.ts";

/** What a program is made of, and what it may do. */
export interface Contents {
  readonly name: string;
  /** Module whose main() runs it, relative to the top of the source tree. */
  readonly module: string;
  /** Options of `deno bundle`. */
  readonly bundling: readonly string[];
  /** How a script starts the runtime. */
  readonly start: "daemon" | "confined";
  /** The runtime's permissions. */
  readonly permissions: readonly string[];
}

/**
 * The process that speaks to etcd for the lock daemon. Its gRPC library works with node: modules. Of that the
 * loader of protocol files, which would come with a parser and a code generator, is loaded by features alone
 * that are not used here.
 */
const CLUSTER_LINK: Contents = {
  name: "virtlockd-cluster",
  module: "./src/etcd/link/main.ts",
  bundling: ["--platform", "deno", "--external", "@grpc/proto-loader"],
  start: "confined",
  permissions: ["--allow-net", "--allow-read", "--allow-env"],
};

/** Every program that is built: the daemons, and what a daemon has beside it. */
export function builtPrograms(): Contents[] {
  const daemons = listedDaemons().map(({ name, module }): Contents => ({
    name,
    module,
    // For browsers: what a package has for other runtimes loads node: modules, which costs a start 6 ms.
    bundling: ["--platform", "browser"],
    start: "daemon",
    // The daemon gives most of these up again when it starts; the commands and the exporter need them.
    permissions: ["-A"],
  }));
  return [...daemons, CLUSTER_LINK];
}

/** The program with a name. @throws Error when there is none */
export function contentsNamed(name: string): Contents {
  const programs = builtPrograms();
  const found = programs.find((each) => each.name === name);
  if (found !== undefined) return found;
  throw new Error(`Build ${name}: the programs are ${programs.map((each) => each.name).join(", ")}`);
}
