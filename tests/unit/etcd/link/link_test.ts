import assert from "node:assert/strict";
import { Link } from "../../../../src/etcd/link/link.ts";
import type { Answer } from "../../../../src/etcd/wire/link_messages.ts";

const OPEN = '{"kind":"open","protocol":5,"endpoints":{"urls":["http://etcd:2379"]}}';
const ASK = '{"kind":"ask","id":4,"limitMs":50,"question":{"kind":"keep-lease","lease":"7"}}';

function played(fails?: string): { link: Link; sent: string[]; answer: (answer: Answer) => void } {
  const sent: string[] = [];
  let answer: (answer: Answer) => void = () => {};
  const link = new Link({
    connect: () => {
      if (fails !== undefined) throw new Error(fails);
      return { ask: (_question, _limit, done) => void (answer = done), close: () => {} };
    },
    send: (line) => sent.push(line),
  });
  return { link, sent, answer: (given) => answer(given) };
}

Deno.test("a link answers each question by its number", () => {
  const { link, sent, answer } = played();
  assert.equal(link.received(OPEN), true);
  assert.equal(link.received(ASK), true);
  answer({ kind: "lease", lease: "7", seconds: 0 });
  assert.deepEqual(sent, [
    '{"kind":"opened","protocol":5}\n',
    '{"kind":"answer","id":4,"answer":{"kind":"lease","lease":"7","seconds":0}}\n',
  ]);
});

Deno.test("a link that cannot work says why, and ends", () => {
  const { link, sent } = played("open /key: permission denied");
  assert.equal(link.received(OPEN), false);
  assert.deepEqual(sent, ['{"kind":"unusable","reason":"open /key: permission denied"}\n']);
});

Deno.test("a daemon of another version gets no answer but that", () => {
  const { link, sent } = played();
  assert.equal(link.received(OPEN.replace('"protocol":5', '"protocol":9')), false);
  assert.deepEqual(sent, ['{"kind":"unusable","reason":"the daemon speaks version 9, and the link 5"}\n']);
});

Deno.test("a question before the endpoints ends it", () => {
  const { link, sent } = played();
  assert.equal(link.received(ASK), false);
  assert.match(sent[0] ?? "", /before the endpoints/);
});

Deno.test("what is no message ends it, and is put to nobody", () => {
  const { link, sent } = played();
  assert.equal(link.received(OPEN), true);
  assert.equal(link.received(ASK.replace('"lease":"7"', '"lease":7')), false);
  assert.equal(
    sent.at(-1),
    '{"kind":"unusable","reason":"the daemon sent what is no message: daemon and link are not of one version"}\n',
  );
});
