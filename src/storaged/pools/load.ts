import { RpcFailure } from "../../chassis/wire/rpc_error.ts";
import { SystemError } from "../../os/system_error.ts";
import { hasBackend } from "../backends/backends.ts";
import { isTimeout } from "../model/storage_error.ts";
import type { Caller } from "../model/storage_service.ts";
import { parsePool, parsePoolState } from "../xml/pool_xml.ts";
import type { Core } from "./core.ts";
import type { Pool } from "./pool.ts";
import type { PoolDocument } from "./pool_files.ts";
import { bringUp } from "./pool_life.ts";
import { listOptions, run } from "./pool_work.ts";
import { applyListing, rowsFor } from "./refresh.ts";

/** The daemon itself, which starts pools with the host. */
const DAEMON: Caller = { pid: 0, uid: 0, client: "" };
/** Milliseconds until a pool that could not be started is tried again, each time twice as many. */
const FIRST_RETRY_MS = 5000;
/** How often that is done: for some ten minutes in all. */
const RETRIES = 7;
/** Milliseconds until a pool is looked at again that was up, and whose storage does not answer. */
const ADOPT_AGAIN_MS = 5000;

/** Reads what there is: pools that were up, and definitions. Each pool is looked at; nobody waits for it. */
export function loadPools(core: Core): void {
  const up = new Set<Pool>();
  for (const document of core.files.states((error) => core.parts.log.error(error.message))) {
    const pool = readState(core, document);
    if (pool !== undefined) up.add(pool);
  }
  loadConfigs(core, (pool, definition) => {
    // What it was started with counts until it is stopped.
    if (up.has(pool)) pool.pending = definition;
    else pool.definition = definition;
  });
  const first = core.files.firstStart();
  for (const pool of core.pools.all) {
    if (hasBackend(pool.definition.type)) adopt(core, pool, up.has(pool), first && pool.autostart);
  }
}

/** As {@link loadPools}, while the daemon runs: definitions that are new are known from now on. */
export function reloadPools(core: Core): void {
  loadConfigs(core, (pool, definition) => pool.define(definition));
  for (const pool of core.pools.all) {
    const startable = pool.autostart && pool.state.kind === "inactive" && hasBackend(pool.definition.type);
    if (startable) autostart(core, pool, RETRIES);
  }
}

function readState(core: Core, { path, name, text }: PoolDocument): Pool | undefined {
  return reading(core, path, () => {
    const definition = parsePoolState(text);
    if (definition.name !== name) {
      core.parts.log.error(`${path} is passed over: it is the state of pool '${definition.name}'`);
      return undefined;
    }
    return core.pools.place(definition).pool;
  });
}

function loadConfigs(
  core: Core,
  define: (pool: Pool, definition: ReturnType<typeof parsePool>) => void,
): void {
  for (const { path, name, text } of core.files.configs((error) => core.parts.log.error(error.message))) {
    reading(core, path, () => {
      const definition = parsePool(text);
      if (definition.name !== name) {
        core.parts.log.error(`${path} is passed over: it defines pool '${definition.name}'`);
        return;
      }
      const { pool } = core.pools.place(definition);
      define(pool, definition);
      pool.persistent = true;
      pool.autostart = core.files.isAutostart(name);
    });
  }
}

/** A file that cannot be read is passed over, and said so. */
function reading<Value>(core: Core, path: string, read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RpcFailure) && !(error instanceof SystemError)) throw error;
    core.parts.log.error(`${path} is passed over: ${error.message}`);
    return undefined;
  }
}

/** Looks whether a pool is up. @param start whether it is started when it is not */
function adopt(core: Core, pool: Pool, wasUp: boolean, start: boolean): void {
  pool.change(wasUp ? "active" : "inactive");
  const { definition } = pool;
  const request = { pool: definition, build: undefined, how: "adopt" as const, host: core.parts.host };
  const rows = rowsFor(pool);
  const options = {
    ...listOptions(core, pool, "start"),
    batch: (bytes: Uint8Array) => rows.add(bytes),
  };
  const down = () => {
    if (start) return autostart(core, pool, RETRIES);
    core.stopped(pool);
  };
  run(core, core.operations.openPool, request, options, (listing) => {
    if (listing === undefined) return down();
    // It may have come up by itself, a directory for example.
    if (!wasUp) reading(core, pool.name, () => core.files.saveState(pool.definition, pool.sizes));
    applyListing(core, pool, listing, rows, pool.volumes.beginRefresh());
    pool.activate(listing.identity);
  }, (failure) => {
    // What has not answered is not known to be down: it may be mounted, and guests may use it.
    if (wasUp && isTimeout(failure)) return adoptLater(core, pool, start, failure);
    core.parts.log.error(`Storage pool '${pool.name}' is not active: ${failure.message}`);
    down();
  });
}

function adoptLater(core: Core, pool: Pool, start: boolean, { message }: RpcFailure): void {
  const seconds = ADOPT_AGAIN_MS / 1000;
  core.parts.log.error(`Storage pool '${pool.name}' was active: ${message}; trying again in ${seconds} s`);
  core.parts.loop.after(ADOPT_AGAIN_MS, () => adopt(core, pool, true, start));
}

/** Starts a pool with the host; again when that fails, for its server may only be coming up. */
function autostart(core: Core, pool: Pool, retries: number): void {
  bringUp(core, DAEMON, pool, undefined, (failure) => {
    if (failure === undefined) return;
    const text = `Storage pool '${pool.name}' was not started with the host: ${failure.message}`;
    if (retries === 0) return core.parts.log.error(text);
    const delay = FIRST_RETRY_MS * 2 ** (RETRIES - retries);
    core.parts.log.error(`${text}; trying again in ${delay / 1000} s`);
    core.parts.loop.after(delay, () => {
      const wanted = core.pools.all.includes(pool) && pool.state.kind === "inactive" && pool.autostart;
      if (wanted) autostart(core, pool, retries - 1);
    });
  });
}
