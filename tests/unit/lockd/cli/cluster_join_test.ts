import assert from "node:assert/strict";
import { clusterJoinCommand } from "../../../../src/lockd/cli/cluster_join.ts";
import { CommandError } from "../../../../src/chassis/cli/command.ts";
import { rpcError } from "../../../../src/chassis/wire/rpc_error.ts";
import { MEMBERSHIP_FILE } from "../../../../src/lockd/cluster/cluster.ts";
import type { ClusterStatus } from "../../../../src/lockd/cluster/cluster_status.ts";
import { CLUSTER_DEFAULTS } from "../../../../src/lockd/identity/cluster_settings.ts";
import { settingsInUse } from "../../../../src/lockd/identity/cluster_settings_in_use.ts";
import { Scratch } from "../../../support/scratch.ts";
import { context, given, onlyPage, PlayedDaemon, STATUS } from "./cli_fixture.ts";

const MEMBER = {
  name: "prod",
  host: "h1",
  session: "s1",
  state: "live",
  locks: 0,
  lost: 0,
  parked: 0,
  left: 0,
  releasing: 0,
  unknown: 0,
} as const;

/** A host whose daemon has a configuration file of this content, and says these things of itself in turn. */
async function joined(
  { config = "", told, refused }: {
    config?: string;
    told: readonly (Partial<ClusterStatus> | undefined)[];
    refused?: number;
  },
  ...args: string[]
) {
  const configurationFile = Deno.makeTempFileSync({ prefix: "join-test-" });
  try {
    Deno.writeTextFileSync(configurationFile, config);
    let asked = 0;
    const daemon = new PlayedDaemon(() => {
      const section = told[Math.min(asked++, told.length - 1)];
      const cluster = section === undefined ? {} : { cluster: { ...MEMBER, ...section } };
      return onlyPage({ ...STATUS, configurationFile, sections: { storage: {}, ...cluster } });
    });
    if (refused !== undefined) daemon.connectResults.push(refused);
    const at = context(daemon.sys);
    const code = await clusterJoinCommand.run(at, given(clusterJoinCommand, ...args));
    return { code, text: at.out.text.replaceAll(configurationFile, "FILE"), waited: daemon.waited };
  } finally {
    Deno.removeSync(configurationFile);
  }
}

Deno.test("join says that a host is a member, as often as it is said", async () => {
  const member = { code: 0, text: "This host is a member of cluster prod (session s1).\n", waited: 0 };
  assert.deepEqual(await joined({ told: [{}] }), member);
  const { text } = await joined({ told: [{}] }, "--json");
  assert.deepEqual(JSON.parse(text), {
    state: "live",
    cluster: "prod",
    host: "h1",
    session: "s1",
    found: "This host is a member of cluster prod (session s1)",
  });
});

Deno.test("join waits for a host that is on its way in, and says what is in the way when that takes too long", async () => {
  const way = { state: "joining", reason: "etcd cannot be reached" } as const;
  assert.deepEqual(await joined({ told: [way, { state: "unsure", reason: "x" }, {}] }), {
    code: 0,
    text: "This host is a member of cluster prod (session s1).\n",
    waited: 600,
  });
  const { code, text, waited } = await joined({ told: [way] }, "--wait", "3");
  assert.deepEqual([code, waited], [1, 3000]);
  assert.match(
    text,
    /^This host is not a member of cluster prod yet: etcd cannot be reached\n-> Locks of the cluster's are/,
  );
  assert.equal((await joined({ told: [way] })).waited, 15_000);
});

Deno.test("join does not touch a host of which a copy runs", async () => {
  const reason = "somebody else writes this host's session: a copy of this host is running";
  assert.deepEqual(await joined({ config: "nonsense", told: [{ state: "lost", reason }] }), {
    code: 1,
    text: `This host is no member of cluster prod: ${reason}\n` +
      "-> Nothing of the cluster's is locked here, nor by the next daemon. If this one is the copy, end it. Else " +
      "end the other one, with its guests, and only then: 'virtlockd cluster join --copy-ended'\n",
    waited: 0,
  });
});

Deno.test("join says what is wrong with the note of the session, and what to do, where a copy is said to be ended", async () => {
  using scratch = new Scratch();
  const note = scratch.file(MEMBERSHIP_FILE);
  const reason = "somebody else writes this host's session: a copy of this host is running";
  const words = ["--copy-ended", "--connect", scratch.file("virtlockd-admin-sock")];
  const goesOn = () => joined({ config: CONFIG, told: [{ state: "lost", reason }] }, ...words);
  const kept = (wrong: string, advice: string) =>
    new CommandError(1, `This host does not go on with its session yet: ${wrong}. ${advice}`);
  const removal =
    `When no guest that runs here has a lock of the cluster's, remove ${note} and run 'virtlockd reload'`;
  await assert.rejects(
    goesOn(),
    kept(
      `${note} is not there`,
      "Nothing keeps the next daemon from going on with it: 'virtlockd reload', then 'virtlockd cluster join'",
    ),
  );
  Deno.writeTextFileSync(note, '{"boot":"b1","cluster":"c","session":"s","spaces":[{}]}');
  await assert.rejects(
    goesOn(),
    kept(`${note} is not understood: spaces[0].name: expected a string, got nothing`, removal),
  );
  Deno.writeTextFileSync(note, "");
  await assert.rejects(
    goesOn(),
    kept(
      `${note} is not understood: expected JSON (Unexpected end of JSON input), got ""`,
      removal,
    ),
  );
  Deno.removeSync(note);
  Deno.mkdirSync(note);
  await assert.rejects(
    goesOn(),
    kept(`read ${note}: Is a directory (EISDIR)`, removal),
  );
  Deno.removeSync(note);
  const membership = { boot: "b1", cluster: "c", session: "s", spaces: [], nonces: ["n"] };
  Deno.writeTextFileSync(note, JSON.stringify(membership));
  Deno.mkdirSync(`${note}.new`);
  await assert.rejects(
    goesOn(),
    kept(`open ${note}.new: Is a directory (EISDIR)`, "Mend that, and say the same again"),
  );
  assert.deepEqual(JSON.parse(Deno.readTextFileSync(note)), membership);
});

Deno.test("join says that nothing has come of the word that a copy is ended where none is known of", async () => {
  assert.deepEqual(await joined({ told: [{}] }, "--copy-ended"), {
    code: 0,
    text: "This host is a member of cluster prod (session s1).\n" +
      "-> --copy-ended has changed nothing: this host's daemon does not say that a copy of it runs\n",
    waited: 0,
  });
  // While etcd is away the daemon cannot know yet what it was said for.
  const way = { state: "joining", reason: "etcd cannot be reached" } as const;
  const { code, text } = await joined({ told: [way] }, "--copy-ended", "--json");
  assert.equal(code, 1);
  assert.equal(
    JSON.parse(text).unheeded,
    "--copy-ended has changed nothing: this host's daemon does not say that a copy of it runs",
  );
});

Deno.test("join says which keys are missing where a host is in no cluster", async () => {
  const keys =
    "-> Set cluster_endpoints, cluster_name, cluster_lockspaces (or cluster_devices) and, for https, " +
    "cluster_ca_file, cluster_cert_file and cluster_key_file in FILE, then 'virtlockd cluster join': docs/cluster.md\n";
  assert.deepEqual(await joined({ told: [undefined] }), {
    code: 1,
    text: `This host is in no cluster: FILE names none\n${keys}`,
    waited: 0,
  });
  // One that has left, and has its keys taken out, would be no member of any when it is reloaded.
  const left =
    "it has left the cluster. Take the cluster_ keys out of virtlockd.conf, then virtlockd reload; with the " +
    "keys 'virtlockd cluster join' brings it back";
  for (
    const [state, reason, found] of [
      ["lost", left, "This host is no member of cluster prod"],
      [
        "broken",
        "it is a member since it was started, and virtlockd.conf names no cluster_endpoints",
        "Nothing of cluster prod is locked on this host as it is configured",
      ],
    ] as const
  ) {
    assert.deepEqual(await joined({ told: [{ state, reason }] }), {
      code: 1,
      text: `${found}: ${reason}\n${keys}`,
      waited: 0,
    });
  }
  const { text } = await joined({ told: [undefined] }, "--json");
  assert.equal(JSON.parse(text).state, "none");
});

Deno.test("join says what is wrong with the settings before anything is reloaded", async () => {
  const { code, text } = await joined({ config: "cluster_endpoints = 5\n", told: [undefined] });
  assert.equal(code, 1);
  assert.match(
    text,
    /^FILE:1: expected a list of strings for "cluster_endpoints", got 5\n-> Mend that, then 'virtlockd cluster join'\n$/,
  );
});

Deno.test("join says where to say it, and what to start, where no daemon can be asked", async () => {
  const absent = await joined({ told: [undefined], refused: -2 });
  assert.equal(absent.code, 1);
  assert.match(
    absent.text,
    /^No daemon is running: nobody listens at \S+\n-> Only the daemon of a host joins, and root has to ask it: on the host that is to, as root, set the cluster_ keys in virtlockd\.conf \(docs\/cluster\.md\), systemctl start virtlockd\.socket virtlockd-admin\.socket, then 'virtlockd cluster join'; 'virtlockd doctor' says why none runs\n$/,
  );
  const denied = await joined({ told: [undefined], refused: -13 }, "--json");
  assert.deepEqual(
    [denied.code, JSON.parse(denied.text).state, JSON.parse(denied.text).advice],
    [1, "unreachable", "Say it as root, or as the user whose daemon it is"],
  );
  const foreign = new PlayedDaemon(() => rpcError(7, "Cannot find program 1 version 1"));
  const at = context(foreign.sys);
  assert.equal(await clusterJoinCommand.run(at, given(clusterJoinCommand)), 1);
  assert.match(
    at.out.text,
    /libvirt's own virtlockd, .*\n-> Only a daemon of this program joins a cluster: install it/,
  );
});

/** What a daemon has taken over of {@link CONFIG}. */
const SETTINGS = settingsInUse({
  ...CLUSTER_DEFAULTS,
  clusterName: "prod",
  clusterEndpoints: ["http://localhost:1"],
  clusterLockspaces: new Map([["scsi", "/scsi"]]),
});
const CONFIG =
  'cluster_name = "prod"\ncluster_endpoints = [ "http://localhost:1" ]\ncluster_lockspaces = [ "scsi=/scsi" ]\n';

Deno.test("join says which keys a member's daemon has not taken over, and leaves the member alone", async () => {
  const config = CONFIG.replace("scsi=/scsi", "lvm=/lvm");
  const told = [{ settings: SETTINGS }];
  const { code, text } = await joined({ config, told });
  assert.deepEqual([code, text], [
    0,
    "This host is a member of cluster prod (session s1).\n" +
    "-> Changed in virtlockd.conf, and not taken over: cluster_lockspaces. 'virtlockd reload' does\n",
  ]);
  assert.deepEqual(JSON.parse((await joined({ config, told }, "--json")).text).waiting, [
    "cluster_lockspaces",
  ]);
  assert.doesNotMatch((await joined({ config: CONFIG, told })).text, /not taken over/);
});

Deno.test("join of a host whose cluster is closed tells first what is wrong with its settings", async () => {
  const told = [{
    state: "closed",
    reason: "nobody has said which hosts it has",
    settings: SETTINGS,
  }] as const;
  const wrong = await joined({ config: `${CONFIG}cluster_weit = 1\n`, told });
  assert.equal(wrong.code, 1);
  assert.match(
    wrong.text,
    /^FILE:4: expected a known key, such as "cluster_wait", got "cluster_weit"\n-> Mend/,
  );
  const idle = await joined({ config: CONFIG.replace(/cluster_lockspaces.*/, ""), told });
  assert.deepEqual([idle.code, idle.text], [
    1,
    "Nothing would be locked for all hosts: FILE sets neither cluster_lockspaces nor cluster_devices\n" +
    "-> Set what the other hosts have, then 'virtlockd cluster join': docs/cluster.md\n",
  ]);
  const none = await joined({ config: "", told });
  assert.match(none.text, /-> Set cluster_endpoints, cluster_name, /);
});

Deno.test("join founds no cluster that locks nothing", async () => {
  const { code, text } = await joined({
    config: CONFIG.replace(/cluster_lockspaces.*/, ""),
    told: [undefined],
  });
  assert.equal(code, 1);
  assert.match(text, /^Nothing would be locked for all hosts: /);
  const idle = settingsInUse({ ...CLUSTER_DEFAULTS, clusterEndpoints: ["http://localhost:1"] });
  const member = await joined({ told: [{ settings: idle }] });
  assert.equal(member.code, 1);
  assert.match(
    member.text,
    /^This host is a member of cluster prod, and locks nothing for other hosts: .*\n-> .*'virtlockd cluster open --expect HOST,\.\.\. --directories'/,
  );
});
