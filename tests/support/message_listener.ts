import type { Header } from "../../src/chassis/wire/frame.ts";
import type { Disposal, MessageUser } from "../../src/storaged/rpc/message_input.ts";

/** Writes down what it is told, and does with a message what its procedure says. */
export class MessageListener implements MessageUser {
  closed = false;
  readonly heard: string[] = [];
  waiting = false;
  /** Most bytes of a streamed payload that it takes at once. */
  most = Infinity;

  begin({ procedure }: Readonly<Header>): Disposal {
    if (this.waiting) return { kind: "wait" };
    if (procedure === 2) return { kind: "stream" };
    if (procedure === 3) return { kind: "drop" };
    return { kind: "keep", limit: 8 };
  }

  message({ serial }: Readonly<Header>, bytes: Uint8Array, start: number, end: number): void {
    this.heard.push(`message ${serial}: ${bytes.subarray(start, end).join(" ")}`);
  }

  data({ serial }: Readonly<Header>, bytes: Uint8Array): number {
    const taken = Math.min(this.most, bytes.length);
    if (taken > 0) this.heard.push(`data ${serial}: ${bytes.subarray(0, taken).join(" ")}`);
    return taken;
  }

  dataEnd({ serial }: Readonly<Header>): void {
    this.heard.push(`end ${serial}`);
  }

  malformed(): void {
    this.closed = true;
    this.heard.push("malformed");
  }
}
