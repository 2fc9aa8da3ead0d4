import type { Answer, Upload } from "../../src/storaged/model/storage_service.ts";

/** A volume that takes what it is told to take. */
export class PlayedUpload implements Upload {
  readonly taken: number[] = [];
  readonly heard: string[] = [];
  room = Infinity;
  ready = () => {};
  failed: Upload["failed"] = () => {};
  end: Answer<void> | undefined;

  write = (bytes: Uint8Array) => {
    const count = Math.min(this.room, bytes.length);
    this.room -= count;
    this.taken.push(...bytes.subarray(0, count));
    return count;
  };
  hole = (length: bigint) => {
    if (this.room === 0) return false;
    this.heard.push(`hole ${length}`);
    return true;
  };
  finish = (answer: Answer<void>) => {
    this.heard.push("finish");
    this.end = answer;
  };
  abort = (freed?: () => void) => {
    this.heard.push("abort");
    freed?.();
  };
}
