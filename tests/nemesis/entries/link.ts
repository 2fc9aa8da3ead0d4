// The link with etcd, whose wall clock is set an hour ahead by SIGUSR2, and right again by SIGUSR1.
import process from "node:process";
import { main } from "../../../src/etcd/link/main.ts";

const STEP_MS = 3600_000;
const RealDate = globalThis.Date;
let ahead = 0;

globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [RealDate.now() + ahead] : args, newTarget),
  get: (target, name) => name === "now" ? () => RealDate.now() + ahead : Reflect.get(target, name),
});
process.on("SIGUSR2", () => ahead = STEP_MS);
process.on("SIGUSR1", () => ahead = 0);

await main();
