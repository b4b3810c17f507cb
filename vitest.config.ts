import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Small files that take long: left to the end, as Vitest leaves small files, they would run while the other cores have nothing to do. */
const long = ["kill-real.test.ts", "lsp/fuzz.test.ts", "runs/kill.test.ts", "disk-errors.test.ts"];

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): boolean => long.some((name) => moduleId.endsWith(name));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  resolve: {
    // Exists only inside VS Code.
    alias: { vscode: fileURLToPath(new URL("test/support/vscode-stub.ts", import.meta.url)) },
  },
  test: {
    include: [
      "{server,extension,webviews,kernels,drawing}/**/*.test.ts",
      "test/{unit,conformance,webviews}/**/*.test.ts",
    ],
    pool: "forks",
    env: {
      // Of tests that load ONNX Runtime themselves; the CPU device sets it on its own.
      ORT_DISABLE_TELEMETRY: "1",
      // Tests start hundreds of processes and threads that load our sources: each would strip and compile them anew.
      NODE_COMPILE_CACHE: join(tmpdir(), "lfp-lens-test-compiled"),
    },
    // All cores: Vitest leaves one idle by default, which is half of a small machine.
    maxWorkers: "100%",
    sequence: { sequencer: LongFirst },
    testTimeout: 240_000,
    hookTimeout: 120_000,
    // What a test polls for either comes or does not: a busy machine is no failure.
    expect: { poll: { timeout: 100_000 } },
  },
});
