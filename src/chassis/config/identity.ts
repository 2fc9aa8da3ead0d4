import type { SocketRole } from "./socket_role.ts";

/** What makes a daemon of the family that one, as far as the chassis has to know. The daemon's own value. */
export interface Identity<C extends string = string> {
  /** Name of the program: in messages and in the journal; the names of its files begin with it. */
  readonly name: string;
  /** What it is a part of, as `--version` says it in parentheses. */
  readonly product: string;
  /** What it is for, in the lines of `--help`. */
  readonly purpose: readonly string[];
  /** What keeps it from ending for idleness besides a client: a noun in the singular. */
  readonly keeps: string;
  /** Its commands, with what each does, in the order of `--help`. */
  readonly commands: Readonly<Record<C, string>>;
  /** What its listening sockets are for, each another thing. The first one is what most clients use. */
  readonly sockets: readonly [SocketRole, ...SocketRole[]];
}
