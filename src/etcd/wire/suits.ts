import type { Answer, Question } from "./link_messages.ts";

/**
 * Whether an answer may be one to a question. What an operation has found is known by its place in the list:
 * an answer with fewer would pass for keys that are not there.
 */
export function suits(question: Question, answer: Answer): boolean {
  switch (answer.kind) {
    case "refused":
    case "full":
    case "unknown":
      return true;
    case "transaction": {
      if (question.kind !== "transaction") return false;
      const { success, failure } = question.transaction;
      const { succeeded, results } = answer.result;
      return results.length === (succeeded ? success : failure).length;
    }
    case "lease":
      return question.kind === "grant-lease" || question.kind === "keep-lease";
    case "changed":
      return question.kind === "await-change" || question.kind === "await-delete";
    case "deleted":
      return question.kind === "await-delete";
    case "versions":
      return question.kind === "versions";
  }
}
