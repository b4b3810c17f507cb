import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: {
    // Exists only inside VS Code.
    alias: { vscode: fileURLToPath(new URL("test/support/vscode-stub.ts", import.meta.url)) },
  },
  test: {
    include: ["{server,extension,webviews,kernels}/**/*.test.ts", "test/{unit,conformance,webviews}/**/*.test.ts"],
    pool: "forks",
    testTimeout: 240_000,
    hookTimeout: 120_000,
  },
});
