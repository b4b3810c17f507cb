import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{server,kernels}/**/*.test.ts", "test/{unit,conformance}/**/*.test.ts"],
    pool: "forks",
    testTimeout: 240_000,
  },
});
