/** An absolute path as it is compared: `//a/./b/` is `/a/b`. Symbolic links and `..` stay what they are. */
export function plainPath(path: string): string {
  if (!path.startsWith("/")) return path;
  // Most are so already, and there may be thousands of them when a daemon starts.
  if (!path.includes("//") && !path.includes("/.") && !path.endsWith("/")) return path;
  return `/${path.split("/").filter((name) => name !== "" && name !== ".").join("/")}`;
}
