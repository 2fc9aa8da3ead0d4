import assert from "node:assert/strict";
import {
  decodeFenceNews,
  decodeFenceTask,
  encodeFenceLine,
  FENCE_PROTOCOL,
  type FenceNews,
  type FenceTask,
} from "../../../../../src/lockd/cluster/fencing/fence_messages.ts";

const TASK: FenceTask = {
  protocol: FENCE_PROTOCOL,
  cluster: "prod",
  link: "/run/link",
  endpoints: { urls: ["https://etcd1:2379"], caFile: "/ca.pem" },
  session: "s",
  from: "kvm8",
  reason: "zwölf\n",
  command: "/fence",
  silenceMs: 60_000,
  limitMs: 1000,
};

Deno.test("a task and news come back as they were sent", () => {
  assert.deepEqual(decodeFenceTask(encodeFenceLine(TASK)), TASK);
  const news: readonly FenceNews[] = [
    { kind: "stage", stage: "watching" },
    { kind: "stage", stage: "condemned" },
    { kind: "stage", stage: "running" },
    { kind: "fenced", freed: 3 },
    { kind: "over", reason: "a" },
    { kind: "later", reason: "b" },
    { kind: "failed", reason: "c" },
  ];
  for (const each of news) assert.deepEqual(decodeFenceNews(encodeFenceLine(each)), each);
});

Deno.test("what is not whole, or of another version, is no task", () => {
  for (const name of Object.keys(TASK)) {
    const { [name as keyof FenceTask]: _, ...rest } = TASK;
    assert.equal(decodeFenceTask(JSON.stringify(rest)), undefined, name);
  }
  assert.equal(decodeFenceTask(JSON.stringify({ ...TASK, protocol: FENCE_PROTOCOL + 1 })), undefined);
  assert.equal(decodeFenceTask(JSON.stringify({ ...TASK, endpoints: { urls: [7] } })), undefined);
  assert.equal(decodeFenceTask("{"), undefined);
});

Deno.test("what is no news is none: nothing but a whole message may tell that a host is fenced", () => {
  const lines = [
    "",
    "null",
    "7",
    "{}",
    '{"kind":"fenced"}',
    '{"kind":"fenced","freed":"1"}',
    '{"kind":"done"}',
  ];
  for (const line of [...lines, '{"kind":"stage","stage":"fenced"}', '{"kind":"failed"}']) {
    assert.equal(decodeFenceNews(line), undefined, line);
  }
});
