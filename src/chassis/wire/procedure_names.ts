/**
 * Names of procedures by number, for logs and metrics; a number that is none has undefined.
 *
 * @param procedures numbers by name
 */
export function procedureNames(
  procedures: Readonly<Record<string, number>>,
): readonly (string | undefined)[] {
  const names: (string | undefined)[] = [];
  for (const [name, number] of Object.entries(procedures)) names[number] = name;
  return names;
}
