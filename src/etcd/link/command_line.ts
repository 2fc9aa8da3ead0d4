import manifest from "../../../deno.json" with { type: "json" };

const USAGE = `Usage: virtlockd-cluster [--certificates DIRECTORY]

Speaks to etcd for virtlockd, which writes to its standard input and reads from
its standard output. virtlockd-cluster.socket starts it; see
virtlockd-cluster(8).

  --certificates DIRECTORY  take the files of this directory from those that
                            systemd has loaded as "certificates"
  -V, --version             show the version and exit
  -h, --help                show this help and exit
`;

/** What a command line asks for. */
export type Wanted =
  /** Nothing but a text. */
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "link"; readonly certificates: string | undefined }
  | { readonly kind: "mistake"; readonly text: string };

/** What the arguments behind the program's name ask for. */
export function readCommandLine(args: readonly string[]): Wanted {
  const [option, value, ...more] = args;
  switch (option) {
    case undefined:
      return { kind: "link", certificates: undefined };
    case "-h":
    case "--help":
      return { kind: "text", text: USAGE };
    case "-V":
    case "--version":
      return { kind: "text", text: `virtlockd-cluster (deno-virtlockd) ${manifest.version}\n` };
    case "--certificates":
      if (value === undefined || !value.startsWith("/")) return mistake("--certificates needs a directory");
      if (more.length > 0) return mistake(`"${more[0]}" is too much`);
      return { kind: "link", certificates: value.replace(/\/+$/, "") };
    default:
      return mistake(`"${option}" is no option`);
  }
}

function mistake(text: string): Wanted {
  return { kind: "mistake", text: `virtlockd-cluster: error: ${text}; see virtlockd-cluster --help\n` };
}
