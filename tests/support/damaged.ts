/** A value with one part of it replaced, for each of its parts. */
export function* withOneReplaced(value: unknown, by: unknown): Generator<unknown> {
  if (typeof value !== "object" || value === null) return;
  for (const [name, part] of Object.entries(value)) {
    const copy: Record<string, unknown> = { ...value };
    const put = (replaced: unknown) =>
      Array.isArray(value)
        ? value.map((each, at) => String(at) === name ? replaced : each)
        : { ...copy, [name]: replaced };
    yield put(by);
    for (const deeper of withOneReplaced(part, by)) yield put(deeper);
  }
}
