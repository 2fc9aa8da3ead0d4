import assert from "node:assert/strict";
import { JobList } from "../../../../src/storaged/pools/job_list.ts";
import { Pool } from "../../../../src/storaged/pools/pool.ts";
import { parsePool } from "../../../../src/storaged/xml/pool_xml.ts";

const caller = { client: "1", pid: 2, uid: 0 };

function pool(name: string): Pool {
  return new Pool(
    parsePool(`<pool type='dir'><name>${name}</name><target><path>/${name}</path></target></pool>`),
  );
}

Deno.test("neither pool of a copy can be pulled away under it, and no other one is kept", () => {
  const jobs = new JobList(() => 0, () => 1000);
  const [to, from, other] = [pool("to"), pool("from"), pool("other")];
  const job = jobs.begin({ kind: "clone", pool: to, volume: "v", from, caller });
  for (const each of [to, from]) {
    assert.throws(() => jobs.refuseUnderJob(each), {
      message: /is used by a job: clone of volume 'v' \(job 1\)$/,
    });
  }
  jobs.refuseUnderJob(other);
  jobs.end(job);
  jobs.refuseUnderJob(to);
});

Deno.test("a job that was given up is shown as hung, keeps no pool, and cannot be cancelled once more", () => {
  const jobs = new JobList(() => 0, () => 1000);
  const p = pool("p");
  const job = jobs.begin({ kind: "wipe", pool: p, volume: "v", caller });
  const cancelled: string[] = [];
  job.work = {
    running: true,
    silentFor: 5,
    cancel: ({ message }) => cancelled.push(message),
    giveUp: () => {},
  };
  assert.deepEqual(jobs.all.map(({ state, givenUp }) => [state, givenUp]), [["running", false]]);
  job.givenUp = true;
  assert.deepEqual(jobs.all.map(({ state, givenUp }) => [state, givenUp]), [["hung", true]]);
  jobs.refuseUnderJob(p);
  assert.equal(jobs.cancel(1), false);
  assert.deepEqual(cancelled, []);
});
