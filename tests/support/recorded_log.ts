import type { Log, LogMessage } from "../../src/chassis/log/log.ts";

/** A log that tells each line to somebody, with its level before it. */
export function recordedLog(tell: (line: string) => void): Log {
  const to = (level: string) => (message: LogMessage) => {
    tell(`${level}: ${typeof message === "string" ? message : message()}`);
  };
  return {
    enabled: () => true,
    debug: to("debug"),
    info: to("info"),
    notice: to("notice"),
    warn: to("warn"),
    error: to("error"),
  };
}
