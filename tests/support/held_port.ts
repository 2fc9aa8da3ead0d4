/** An address of loopback at which the ports are held that others are to listen on. */
const KEEPERS = "127.77.77.77";

/**
 * A TCP port of 127.0.0.1 for a program that is yet to be started. Until it is disposed of no other test gets
 * it, although nobody may listen on it for a while: of tests side by side two were given the same one.
 */
export class HeldPort implements Disposable {
  readonly number: number;
  readonly #keeper: Deno.TcpListener;

  private constructor(keeper: Deno.TcpListener) {
    this.#keeper = keeper;
    this.number = keeper.addr.port;
  }

  /** One that nobody uses. */
  static take(): HeldPort {
    for (;;) {
      using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      try {
        return new HeldPort(Deno.listen({ hostname: KEEPERS, port: listener.addr.port }));
      } catch (error) {
        // Another test holds it.
        if (!(error instanceof Deno.errors.AddrInUse)) throw error;
      }
    }
  }

  [Symbol.dispose](): void {
    this.#keeper.close();
  }
}
