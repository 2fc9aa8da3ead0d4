import { compareTexts } from "../../../base/lists.ts";
import { isShownAs } from "../../../chassis/log/plain_text.ts";
import type { KeyValue } from "../../../etcd/wire/transaction.ts";
import type { ClusterKeys } from "../../cluster/keys/keys.ts";
import type { Fencing } from "../../cluster/keys/fencing_record.ts";
import { decodeHost, decodeSilence } from "../../cluster/keys/host_record.ts";
import { decodeSession } from "../../cluster/keys/session_record.ts";
import type { EtcdQuestions } from "./etcd_questions.ts";
import { type Reading, strictly } from "./unreadable_keys.ts";

/** A host's session as etcd has it: an entry of `cluster hosts --json`, see docs/json.md. */
export interface HostEntry {
  /** Id of the host. */
  readonly host: string;
  readonly name: string;
  readonly session: string;
  readonly boot: string;
  readonly state: "live" | "silent" | "left" | Fencing["state"];
  /** Since when somebody knows that nothing is heard of it; absent: nobody has asked for a lock of it. */
  readonly silentSinceMs?: number;
  readonly fencing?: FencingEntry;
  /** Its daemon was stopped in order while guests had locks: no program fences it. */
  readonly quiet?: true;
}

/** Who has fenced a host. */
export interface FencingEntry {
  readonly by: string;
  readonly from: string;
  readonly atMs: number;
  /** The program that has done it; absent: it is a person's word, or a reboot. */
  readonly command?: string;
  /** The kernel's boot id of the next start of that very host, which has done it. */
  readonly boot?: string;
}

/** A session with its key. */
export interface KnownSession extends HostEntry {
  readonly entry: KeyValue;
  /** Whether its host was heard of a moment ago, whatever was said of it. */
  readonly heard: boolean;
}

/**
 * Every session of the cluster that was not removed, by the host's name; of one host the live ones come
 * first.
 *
 * @param read how each is read: by default what cannot be is an error
 * @throws CommandError; RecordError for what is no session
 */
export function knownSessions(
  questions: Pick<EtcdQuestions, "list">,
  keys: ClusterKeys,
  read: Reading = strictly,
): KnownSession[] {
  const shown = questions.list(keys.hosts).map((entry) => ({
    host: entry.key.slice(keys.hosts.length),
    session: read(() => decodeHost(entry))?.session,
  }));
  const heard = new Set(shown.map(({ session }) => session));
  // Of which session it is cannot be told: nobody may read of either that it is silent.
  const unclear = new Set(shown.filter(({ session }) => session === undefined).map(({ host }) => host));
  const silent = new Map(
    questions.list(keys.silences).map((entry) =>
      [entry.key.slice(keys.silences.length), read(() => decodeSilence(entry))?.since] as const
    ),
  );
  return questions.list(keys.sessions).flatMap((entry): KnownSession[] => {
    const record = read(() => decodeSession(entry));
    if (record === undefined || record.removed === true) return [];
    const { host, name, boot, fencing, left, quiet } = record;
    const session = entry.key.slice(keys.sessions.length);
    const isHeard = heard.has(session) || unclear.has(host);
    const state = fencing?.state ?? (left === true ? "left" : isHeard ? "live" : "silent");
    const said = fencing === undefined ? {} : { fencing: fencingEntry(fencing) };
    const since = silent.get(session);
    const silence = state === "live" || since === undefined ? {} : { silentSinceMs: since };
    const stopped = state === "silent" && quiet === true ? { quiet } as const : {};
    return [{
      host,
      name,
      session,
      boot,
      state,
      ...silence,
      ...stopped,
      ...said,
      entry,
      heard: isHeard,
    }];
  }).sort((a, b) =>
    compareTexts(a.name, b.name) || compareTexts(a.host, b.host) ||
    ORDER.indexOf(a.state) - ORDER.indexOf(b.state) ||
    compareTexts(a.session, b.session)
  );
}

function fencingEntry({ by, from, at, command, boot }: Fencing): FencingEntry {
  return {
    by,
    from,
    atMs: at,
    ...command === undefined ? {} : { command },
    ...boot === undefined ? {} : { boot },
  };
}

const ORDER: readonly HostEntry["state"][] = ["live", "silent", "condemned", "fenced", "left"];

/** Sessions of the host that is meant: by its name, also as it is shown, by its id or one of its sessions. */
export function sessionsOf<Known extends HostEntry>(sessions: readonly Known[], meant: string): Known[] {
  const called = sessions.filter(({ name, host, session }) => [name, host, session].includes(meant));
  // Of a name with odd characters people have what the lists show.
  return called.length > 0 ? called : sessions.filter(({ name }) => isShownAs(name, meant));
}

/** The names, or ids, of hosts as they are, of which each may be written as it is shown. */
export function namesMeant(sessions: readonly HostEntry[], named: readonly string[]): readonly string[] {
  return named.map((each) => {
    if (sessions.some(({ host, name }) => [host, name].includes(each))) return each;
    const shown = sessions.filter(({ name }) => isShownAs(name, each)).map(({ name }) => name);
    const [name, ...others] = new Set(shown);
    return name === undefined || others.length > 0 ? each : name;
  });
}

/** What is shown of a session. */
export function hostEntry({ entry: _entry, heard: _heard, ...shown }: KnownSession): HostEntry {
  return shown;
}
