/** Whether nothing is left out that CI has no time for: minutes, not seconds. docs/testing.md says what. */
export const THOROUGH = Deno.env.get("VIRTLOCKD_TEST_THOROUGH") === "1";
