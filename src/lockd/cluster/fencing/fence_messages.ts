import type { Endpoints } from "../../../etcd/wire/link_messages.ts";

/** Version of these messages: an upgrade may have two versions beside each other for a moment. */
export const FENCE_PROTOCOL = 1;

/** Longest line, in bytes. */
export const LONGEST_FENCE_LINE = 64 * 1024;

/** Name of the part of the program that fences, as its unit calls it. */
export const FENCE_COMMAND = "internal-fence";

/** A host that is to be fenced: the only line that the daemon sends. */
export interface FenceTask {
  readonly protocol: number;
  /** Name of the cluster. */
  readonly cluster: string;
  /** Socket of the link with etcd, and how etcd is reached. */
  readonly link: string;
  readonly endpoints: Endpoints;
  /** Session that is to be ended. */
  readonly session: string;
  /** Name of the host that asks for it. */
  readonly from: string;
  /** Who asks for which lock, for people. */
  readonly reason: string;
  /** Program whose success is the word that the host cannot write any more. */
  readonly command: string;
  /** How long nothing may be heard of the host before, and how long the program may take, in ms. */
  readonly silenceMs: number;
  readonly limitMs: number;
}

/** How far a process is that fences. */
export type FenceStage = "watching" | "condemned" | "running";

/** How it ended. */
export type FenceEnd =
  /** The host is fenced, and so many locks of it were freed. */
  | { readonly kind: "fenced"; readonly freed: number }
  /** Nothing is to be done, or nothing may be done without a person's word. */
  | { readonly kind: "over"; readonly reason: string }
  /** Not now: there is no fault, but it is tried again. */
  | { readonly kind: "later"; readonly reason: string }
  /** It is not fenced, and something does not work. */
  | { readonly kind: "failed"; readonly reason: string };

/** What the process sends: one JSON text on each line. */
export type FenceNews = { readonly kind: "stage"; readonly stage: FenceStage } | FenceEnd;

/** A message as it is sent. */
export function encodeFenceLine(message: FenceTask | FenceNews): string {
  return `${JSON.stringify(message)}\n`;
}

type Fields = Readonly<Record<string, unknown>>;

function fieldsOf(line: string): Fields | undefined {
  try {
    const read: unknown = JSON.parse(line);
    return typeof read === "object" && read !== null ? { ...read } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** @returns undefined for what is no message of this version */
export function decodeFenceTask(line: string): FenceTask | undefined {
  const fields = fieldsOf(line);
  return fields !== undefined && isTask(fields) ? fields : undefined;
}

/** @returns undefined for what is no message */
export function decodeFenceNews(line: string): FenceNews | undefined {
  const fields = fieldsOf(line);
  return fields !== undefined && isNews(fields) ? fields : undefined;
}

function isTask(fields: Fields): fields is Fields & FenceTask {
  const texts = ["cluster", "link", "session", "from", "reason", "command"];
  const numbers = ["silenceMs", "limitMs"];
  return fields["protocol"] === FENCE_PROTOCOL && isEndpoints(fields["endpoints"]) &&
    texts.every((name) => typeof fields[name] === "string") &&
    numbers.every((name) => typeof fields[name] === "number");
}

function isEndpoints(value: unknown): value is Endpoints {
  if (typeof value !== "object" || value === null) return false;
  const { urls, ...files }: Partial<Record<keyof Endpoints, unknown>> = value;
  return Array.isArray(urls) && [...urls, ...Object.values(files)].every((text) => typeof text === "string");
}

function isNews(fields: Fields): fields is Fields & FenceNews {
  switch (fields["kind"]) {
    case "stage":
      return ["watching", "condemned", "running"].some((stage) => fields["stage"] === stage);
    case "fenced":
      return typeof fields["freed"] === "number";
    case "over":
    case "later":
    case "failed":
      return typeof fields["reason"] === "string";
    default:
      return false;
  }
}
