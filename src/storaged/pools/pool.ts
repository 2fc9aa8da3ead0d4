import { NO_SIZES, type Permissions, type PoolDefinition, type PoolSizes } from "../model/pool_definition.ts";
import type { PoolRef } from "../model/storage_service.ts";
import type { Place, PlaceIdentity } from "../volumes/place.ts";
import { VolumeList } from "./volume_list.ts";

/** Where a pool is in its life. */
export type PoolState =
  | { readonly kind: "inactive" }
  /** `shown`: how lists show it until it is known. */
  | { readonly kind: "changing"; readonly shown: "active" | "inactive" }
  | { readonly kind: "active"; readonly identity: PlaceIdentity };

/** A storage pool. */
export class Pool {
  /** As it is, or was when it was up last. */
  definition: PoolDefinition;
  /** What it will be when it is next started: it was defined anew while it was up. */
  pending: PoolDefinition | undefined;
  /** Whether there is a file with its definition. */
  persistent = false;
  autostart = false;
  sizes: PoolSizes = NO_SIZES;
  /** Whether its storage has answered when it was last asked. */
  answers = true;
  state: PoolState = { kind: "inactive" };
  volumes = new VolumeList();
  /** Called when it is not changing any more. */
  readonly waiting: (() => void)[] = [];
  /** Operations that are under way in its directory. */
  #working = 0;
  #whenQuiet: (() => void)[] = [];

  constructor(definition: PoolDefinition) {
    this.definition = definition;
  }

  get name(): string {
    return this.definition.name;
  }

  get uuid(): string {
    return this.definition.uuid;
  }

  get ref(): PoolRef {
    return { name: this.name, uuid: this.uuid };
  }

  /** Whether lists show it as active. */
  get shownActive(): boolean {
    return this.state.kind === "active" || this.state.kind === "changing" && this.state.shown === "active";
  }

  /** Its directory, as the storage that it was started with. */
  get place(): Place {
    const identity = this.state.kind === "active" ? this.state.identity : undefined;
    return { path: this.definition.target.path ?? "", identity };
  }

  /** Takes over a definition: at once, or when it is next started. */
  define(definition: PoolDefinition): void {
    if (this.state.kind === "inactive") this.definition = definition;
    else this.pending = definition;
  }

  /** It is up. */
  activate(identity: PlaceIdentity): void {
    this.#settle({ kind: "active", identity });
  }

  /** It is being started, stopped or looked at. */
  change(shown: "active" | "inactive"): void {
    this.state = { kind: "changing", shown };
  }

  /** What it was is so again: it could not be changed. */
  restore(state: PoolState): void {
    this.#settle(state);
  }

  /** It is not up. */
  deactivate(): void {
    this.answers = true;
    this.volumes = new VolumeList();
    if (this.pending !== undefined) {
      this.definition = this.pending;
      this.pending = undefined;
      this.sizes = NO_SIZES;
    }
    this.#settle({ kind: "inactive" });
  }

  /** What a refresh has told of its directory. */
  describe(sizes: PoolSizes, permissions: Permissions): void {
    this.sizes = sizes;
    this.definition = { ...this.definition, target: { ...this.definition.target, permissions } };
  }

  /** So many bytes are used that were free; negative: freed. */
  use(bytes: bigint): void {
    const { capacity, allocation, available } = this.sizes;
    this.sizes = { capacity, allocation: allocation + bytes, available: available - bytes };
  }

  /** An operation in its directory begins. @returns what is to be called once when it has ended */
  begin(): () => void {
    this.#working++;
    return () => {
      this.#working--;
      if (this.#working > 0) return;
      for (const go of this.#whenQuiet.splice(0)) go();
    };
  }

  /** Goes on when nothing is under way in its directory, which nobody could unmount under it. */
  whenQuiet(go: () => void): void {
    if (this.#working === 0) go();
    else this.#whenQuiet.push(go);
  }

  #settle(state: PoolState): void {
    this.state = state;
    for (const go of this.waiting.splice(0)) go();
  }
}
