import type { RequestListener, Server } from "node:http";
import { UsageError } from "../config/usage_error.ts";
import { S_IFMT, S_IFSOCK, SOCK_STREAM } from "../../os/constants.ts";
import { ECONNREFUSED, ENOENT } from "../../os/errno.ts";
import { emptyStatus, type Sys } from "../../os/sys.ts";
import { adminSocket, CONNECT_OPTION } from "./asking.ts";
import { type Command, CommandError, CommandExit } from "./command.ts";
import { type ListenAddress, listenAddressText, parseListenAddress } from "./listen_address.ts";
import type { Identity } from "../config/identity.ts";
import { type AskMetrics, upText } from "./metrics.ts";

/** How long the daemon may take, in ms; Prometheus itself gives up after 10 s. */
const DAEMON_TIMEOUT = 3000;
/**
 * Who asks within so many ms after the daemon failed to answer is told the same: it is waited for once, not
 * once for each.
 */
const FAILURE_LIFE = 500;
const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/**
 * `exporter`: serves a daemon's metrics over HTTP, from a process of its own.
 *
 * @param identity whose metrics they are
 */
export function exporterCommandOf(identity: Identity, askMetrics: AskMetrics): Command {
  return {
    name: "exporter",
    purpose: "Serves the daemon's metrics over HTTP at /metrics. Without a daemon the answer is `up 0`.",
    options: [
      CONNECT_OPTION,
      { name: "listen", value: "ADDRESS", summary: "serve at HOST:PORT or unix:PATH (needed)" },
    ],
    async run(context, args) {
      const { sys, out } = context;
      const listen = args.value("listen");
      if (listen === undefined) throw new UsageError('Option "--listen" is needed');
      const address = parseListenAddress(listen);
      const socket = adminSocket(identity, context, args);
      // Only here: the daemon and the other commands need no HTTP.
      const { createServer } = await import("node:http");
      const { default: process } = await import("node:process");
      const stop = Promise.withResolvers<void>();
      process.on("SIGTERM", () => stop.resolve());
      process.on("SIGINT", () => stop.resolve());
      const ask = failingOnce(() => askMetrics(context, socket, DAEMON_TIMEOUT), sys);
      const server = createServer(respond(() => exporterText(identity, ask)));
      const served = await serve(sys, server, address);
      out.write(`Serving metrics at ${listenAddressText(served)}\n`);
      await stop.promise;
      server.close();
      server.closeAllConnections();
      if (address.kind === "unix") sys.unlink(address.path);
      return CommandExit.OK;
    },
  };
}

/**
 * What `/metrics` answers. `up` is what monitoring looks for; the other ways of asking have it under the
 * daemon's own name, which is here too.
 */
export function exporterText({ name }: Pick<Identity, "name">, ask: () => string): string {
  let text: string | undefined;
  try {
    text = ask();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
  }
  const up = text !== undefined;
  return upText(up, "up") + upText(up, `${name}_up`) + (text ?? "");
}

/** Answers GET /metrics, and nothing else. */
function respond(metrics: () => string): RequestListener {
  return (request, response) => {
    const [path] = (request.url ?? "").split("?");
    if (path !== "/metrics") {
      response.writeHead(404, { "content-type": "text/plain" }).end("Only /metrics is here.\n");
    } else if (request.method !== "GET") {
      response.writeHead(405, { "content-type": "text/plain", allow: "GET" }).end("Only GET is answered.\n");
    } else {
      response.writeHead(200, { "content-type": CONTENT_TYPE }).end(metrics());
    }
  };
}

/**
 * Repeats a failure for a while instead of asking again.
 *
 * @returns asks, or throws what asking threw less than {@link FAILURE_LIFE} ago
 */
export function failingOnce(ask: () => string, { monotonic }: Pick<Sys, "monotonic">): () => string {
  let failure: { error: unknown; until: number } | undefined;
  return () => {
    if (failure !== undefined && monotonic() < failure.until) throw failure.error;
    try {
      failure = undefined;
      return ask();
    } catch (error) {
      failure = { error, until: monotonic() + FAILURE_LIFE };
      throw error;
    }
  };
}

/**
 * Begins to listen.
 *
 * @returns the address, with the port that the kernel has chosen
 * @throws CommandError
 */
async function serve(sys: Sys, server: Server, address: ListenAddress): Promise<ListenAddress> {
  if (address.kind === "unix") removeStale(sys, address.path);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("listening", resolve);
      server.once("error", reject);
      if (address.kind === "unix") server.listen(address.path);
      else server.listen(address.port, address.host);
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(CommandExit.PROBLEM, `Listen at ${listenAddressText(address)}: ${reason}`, {
      cause: error,
    });
  }
  const bound = server.address();
  return address.kind === "tcp" && bound !== null && typeof bound === "object"
    ? { ...address, port: bound.port }
    : address;
}

/**
 * Unlinks the socket of an exporter that is gone.
 *
 * @throws CommandError when somebody listens there, or it is no socket
 */
function removeStale(sys: Sys, path: string): void {
  const refuse = (why: string) => new CommandError(CommandExit.PROBLEM, `Listen at unix:${path}: ${why}`);
  const status = emptyStatus();
  if (sys.lstat(path, status) === -ENOENT) return;
  if ((status.mode & S_IFMT) !== S_IFSOCK) throw refuse("there is a file of that name, which is no socket");
  const fd = sys.socket(SOCK_STREAM, true);
  if (fd < 0) throw refuse("no socket can be made to see whether it is in use");
  const result = sys.connect(fd, path);
  sys.close(fd);
  if (result !== -ECONNREFUSED) throw refuse("another process listens there");
  sys.unlink(path);
}
