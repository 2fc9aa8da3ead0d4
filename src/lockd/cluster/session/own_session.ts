import type { Seen, SessionNote } from "../host/membership_file.ts";
import { followingSession } from "../keys/session_id.ts";

/** What this host knows of the session that is its own: what it has written there, and what it found then. */
export class OwnSession {
  #id: string;
  /** Whether this life of the daemon has joined. */
  #member = false;
  /** Nonces of which one is in etcd, if nobody else has written there. */
  #tried: Set<string>;
  /** Whether these are all, those of earlier lives too. */
  #knowsTried: boolean;
  readonly #fenced = new Set<string>();
  #lease: string | undefined;
  #lost = 0;
  #data: string | undefined;
  #seen: Seen | undefined;
  #changed: string | undefined;
  #told = false;

  /** @param note of an earlier life of the daemon, or of a session that nobody has written yet */
  constructor({ session, seen, nonces }: SessionNote) {
    this.#id = session;
    this.#seen = seen;
    this.#tried = new Set(nonces);
    this.#knowsTried = nonces !== undefined;
  }

  get id(): string {
    return this.#id;
  }

  /** Whether this life of the daemon has joined with it. */
  get member(): boolean {
    return this.#member;
  }

  /** What this host has written there, or tried to, in any life of its daemon; undefined: nobody knows. */
  get tried(): ReadonlySet<string> | undefined {
    return this.#knowsTried ? this.#tried : undefined;
  }

  /** What the next life of the daemon has to know. */
  get note(): SessionNote {
    return {
      session: this.#id,
      ...this.#seen === undefined ? {} : { seen: this.#seen },
      ...this.#knowsTried ? { nonces: [...this.#tried] } : {},
    };
  }

  /** What etcd was when it was last written; undefined: it never was. */
  get seen(): Seen | undefined {
    return this.#seen;
  }

  /** Sessions that this host had until it was fenced. */
  get fenced(): ReadonlySet<string> {
    return this.#fenced;
  }

  /** Of what tells that this host is heard of; undefined when there is none. */
  get lease(): string | undefined {
    return this.#lease;
  }

  /** How many locks its guests had that are others', when it was last written. */
  get lost(): number {
    return this.#lost;
  }

  /** What a program has to know that fences this host, as it was last written; undefined: nothing. */
  get data(): string | undefined {
    return this.#data;
  }

  /** Why etcd is not what it was, as long as this host is no member again. */
  get changed(): string | undefined {
    return this.#changed;
  }

  /** Whether this host has told everybody that it is not. */
  get told(): boolean {
    return this.#told;
  }

  /** An earlier daemon of this boot has another one, of which the host has lost its note. */
  goOnWith(id: string): void {
    this.#id = id;
    this.#tried = new Set();
    this.#knowsTried = false;
  }

  /** The host was made to leave with it, and begins another one. */
  startAnew(id: string): void {
    this.#id = id;
    this.#hasWrittenNothing();
    this.#unsee();
  }

  /** This host was fenced. Nothing of that session can change anything any more: another one follows it. */
  follow(): void {
    this.#fenced.add(this.#id);
    this.#id = followingSession(this.#id);
    this.#member = false;
    this.#hasWrittenNothing();
    this.#lease = undefined;
    this.#unsee();
  }

  #hasWrittenNothing(): void {
    this.#tried = new Set();
    this.#knowsTried = true;
  }

  #unsee(): void {
    if (this.#seen !== undefined) this.#seen = { ...this.#seen, session: 0 };
  }

  /** It is about to be written: from now on this text may be there. */
  tries(nonce: string): void {
    this.#tried.add(nonce);
  }

  /** It certainly was not. */
  notWritten(nonce: string): void {
    this.#tried.delete(nonce);
  }

  /** It was, and nothing else that was tried can come any more. */
  written(nonce: string, lease: string, lost: number, data?: string): void {
    this.#member = true;
    this.#lost = lost;
    this.#data = data;
    this.#isThere(nonce);
    this.#lease = lease;
  }

  /** The same, of a host that is no member with it at this moment. */
  objected(nonce: string): void {
    this.#isThere(nonce);
  }

  #isThere(nonce: string): void {
    this.#tried = new Set([nonce]);
    this.#knowsTried = true;
  }

  /** What etcd was before counts no more: this host is in what there is now. */
  arrived(seen: Seen): void {
    this.#changed = undefined;
    this.#told = false;
    this.sees(seen);
  }

  /** What is noted of etcd, and of what this host has there. */
  sees(seen: Seen): void {
    this.#seen = seen;
  }

  /** etcd is not what it was. */
  differs(reason: string): void {
    this.#changed = reason;
    this.#told = false;
  }

  /** Everybody knows that. */
  wasTold(): void {
    this.#told = true;
  }

  /** The lease has ended: this host was not heard of for a while. @returns whether it was this one's still */
  unleased(lease: string): boolean {
    if (this.#lease !== lease) return false;
    this.#lease = undefined;
    return true;
  }
}
