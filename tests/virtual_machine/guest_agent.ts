import { until } from "../support/until.ts";
import { type JsonLine, JsonLines } from "./json_lines.ts";
import type { Said } from "./steps.ts";

/** How long the agent may take to say something, in ms: everything takes long without KVM. */
const ANSWER = 60_000;
/** Pause between two questions whether there is an agent, and whether a program has ended, in ms. */
const EVERY = 500;

/** QEMU's agent in a machine, which runs programs there: over every reset of it. */
export class GuestAgent implements Disposable {
  readonly #lines: JsonLines;
  #numbers = 0;

  private constructor(lines: JsonLines) {
    this.#lines = lines;
  }

  /** @param path socket of the agent's port */
  static async connect(path: string): Promise<GuestAgent> {
    return new GuestAgent(await JsonLines.connect(path));
  }

  /** Runs a shell script to its end, however that is, when there is an agent. @param time in ms, for all */
  async run(script: string, time: number): Promise<Said> {
    await until("the machine's agent", () => this.#answers(), time, EVERY);
    const command = { path: "/bin/sh", arg: ["-ec", script], "capture-output": true };
    const { pid } = await this.#ask("guest-exec", command);
    const ended = await until(
      `the end of ${script}`,
      async () => {
        const status = await this.#ask("guest-exec-status", { pid });
        return status["exited"] === true && status;
      },
      time,
      EVERY,
    );
    const text = (value: unknown) => typeof value !== "string" ? "" : decode(value);
    return {
      code: Number(ended["exitcode"] ?? -1),
      out: text(ended["out-data"]),
      err: text(ended["err-data"]),
    };
  }

  [Symbol.dispose](): void {
    this.#lines[Symbol.dispose]();
  }

  /** Whether there is one: what earlier ones have said is forgotten then. */
  async #answers(): Promise<boolean> {
    const id = ++this.#numbers;
    await this.#lines.say({ execute: "guest-sync", arguments: { id } });
    return await this.#lines.next((line) => line["return"] === id, 5000) !== undefined;
  }

  async #ask(command: string, given: JsonLine): Promise<JsonLine> {
    await this.#lines.say({ execute: command, arguments: given });
    const line = await this.#lines.next((each) => "return" in each || "error" in each, ANSWER);
    const answer = line?.["return"];
    if (typeof answer === "object" && answer !== null) return answer as JsonLine;
    throw new Error(`Ask the machine's agent for ${command}: ${JSON.stringify(line ?? "no answer")}`);
  }
}

function decode(base64: string): string {
  return new TextDecoder().decode(Uint8Array.fromBase64(base64));
}
