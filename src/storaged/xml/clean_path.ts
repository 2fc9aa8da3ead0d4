/**
 * A path as libvirt keeps it: without doubled slashes, or one at its end. Two slashes at its beginning stay,
 * and what looks like a URI stays as it is.
 */
export function cleanPath(path: string): string {
  const scheme = path.indexOf("://");
  if (scheme >= 0 && path.indexOf("/") > scheme) return path;
  const double = /^\/\/(?!\/)/.test(path);
  const single = path.replace(/\/{2,}/g, "/");
  const shorter = single.length > 1 && single.endsWith("/") ? single.slice(0, -1) : single;
  return double ? `/${shorter}` : shorter;
}
