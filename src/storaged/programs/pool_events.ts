import { ErrorDomain, internalError, type RpcFailure } from "../../chassis/wire/rpc_error.ts";
import type { PoolEvent, PoolRef } from "../model/storage_service.ts";
import type { ClientLink } from "../rpc/client_link.ts";
import { REMOTE_PROGRAM, RemoteMessage, writePool } from "../wire/remote_protocol.ts";

/** Callbacks of one client at most. */
const MOST_CALLBACKS = 128;

/** virStoragePoolEventID, in libvirt's order. */
const EVENT_KINDS: readonly PoolEvent["kind"][] = ["lifecycle", "refresh"];

/** What a client wants to be told of. */
interface Callback {
  readonly client: ClientLink;
  readonly kind: PoolEvent["kind"];
  /** Uuid of the one pool that it is about; undefined: all. */
  readonly pool: string | undefined;
}

/** Who is told of which events of pools. */
export class PoolEvents {
  readonly #callbacks = new Map<ClientLink, Map<number, Callback>>();

  /** @returns the callback's number, or why there is none */
  register(client: ClientLink, event: number, pool: PoolRef | undefined): number | RpcFailure {
    const kind = EVENT_KINDS[event];
    if (kind === undefined) {
      return internalError(ErrorDomain.RPC, `unsupported storage pool event ID ${event}`);
    }
    const own = this.#callbacks.get(client) ?? new Map<number, Callback>();
    if (own.size >= MOST_CALLBACKS) {
      return internalError(
        ErrorDomain.RPC,
        `There are ${MOST_CALLBACKS} event callbacks on this connection already`,
      );
    }
    const number = freeNumber(own);
    own.set(number, { client, kind, pool: pool?.uuid });
    this.#callbacks.set(client, own);
    return number;
  }

  /** @returns why there is no such callback */
  deregister(client: ClientLink, number: number): RpcFailure | undefined {
    const own = this.#callbacks.get(client);
    if (own?.delete(number) !== true) {
      return internalError(ErrorDomain.RPC, `storage pool event callback ${number} not registered`);
    }
    if (own.size === 0) this.#callbacks.delete(client);
    return undefined;
  }

  /** The client has gone. */
  forget(client: ClientLink): void {
    this.#callbacks.delete(client);
  }

  /** Tells whoever wants to know. */
  happened(event: PoolEvent): void {
    // A client that does not read is ended, which changes the map.
    for (const own of [...this.#callbacks.values()]) {
      for (const [number, { client, kind, pool }] of own) {
        if (kind === event.kind && (pool === undefined || pool === event.pool.uuid)) {
          tell(client, number, event);
        }
      }
    }
  }
}

function freeNumber(taken: ReadonlyMap<number, unknown>): number {
  let number = 0;
  while (taken.has(number)) number++;
  return number;
}

function tell(client: ClientLink, callback: number, event: PoolEvent): void {
  switch (event.kind) {
    case "lifecycle":
      return client.tell(REMOTE_PROGRAM, RemoteMessage.POOL_LIFECYCLE, (writer) => {
        writer.i32(callback);
        writePool(writer, event.pool);
        writer.i32(event.event);
        writer.i32(0);
      });
    case "refresh":
      return client.tell(REMOTE_PROGRAM, RemoteMessage.POOL_REFRESH, (writer) => {
        writer.i32(callback);
        writePool(writer, event.pool);
      });
  }
}
