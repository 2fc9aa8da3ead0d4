// Made from the numbers of libvirt's protocol; docs/storage-protocol.md.

/** First and last numbers of procedures that follow each other. */
const RANGES: readonly (readonly [number, number])[] = [
  [36, 36],
  [38, 50],
  [52, 52],
  [111, 120],
  [123, 124],
  [126, 134],
  [137, 138],
  [152, 153],
  [156, 156],
  [175, 181],
  [220, 222],
  [283, 286],
  [291, 291],
  [297, 297],
  [301, 301],
  [313, 314],
  [341, 341],
  [374, 375],
  [397, 401],
  [404, 410],
  [428, 437],
];

/** Numbers of procedures that other daemons serve: networks, interfaces, devices and filters. */
export const OF_OTHER_DAEMONS: readonly number[] = RANGES.flatMap(([first, last]) =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)
);
