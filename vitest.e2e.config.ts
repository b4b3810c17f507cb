/** The end-to-end tests: VS Code in a browser, with the packed extension. `npm run test:e2e` alone, or at the end of `npm test`. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/e2e/**/*.e2e.ts"],
    globalSetup: "test/e2e/support/global-setup.ts",
    pool: "forks",
    // One VS Code and one browser at a time: each wants a core.
    fileParallelism: false,
    // A busy machine is no failure: what is waited for either comes or does not.
    testTimeout: 240_000,
    hookTimeout: 240_000,
  },
});
