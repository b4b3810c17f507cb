import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stageBundle } from "../../scripts/bundle.ts";
import { thisPlatform } from "../../scripts/dependencies.ts";

const run = promisify(execFile);

describe("the archive for machines without a network", () => {
  let folder: string;
  // No Node of the machine's own, and no folder of packages above.
  const bare = { cwd: tmpdir(), env: { PATH: "/usr/bin:/bin", HOME: tmpdir() } };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "lfp-bundle-test-"));
    await stageBundle(folder, thisPlatform());
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("holds an lfp that runs on its own Node, and computes", async () => {
    const { stdout } = await run(join(folder, "lfp"), ["doctor", "--json"], bare);
    const last: unknown = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
    expect(last).toMatchObject({
      ok: true,
      versions: { node: process.version.slice(1) },
      devices: { cpu: { ok: true } },
      starter: { ok: true, folder: join(folder, "assets/starter") },
    });
  });

  it("holds the tests and what they need", async () => {
    const vitest = join(folder, "node_modules/vitest/vitest.mjs");
    const files = ["server/engine/cpu/telemetry.test.ts", "server/statistics/ranks.test.ts"];
    const node = join(folder, "node_modules/.bin/node");
    const { stdout } = await run(node, [vitest, "run", "--reporter", "json", ...files], { ...bare, cwd: folder });
    expect(JSON.parse(stdout)).toMatchObject({ success: true, numTotalTestSuites: expect.toSatisfy((n) => n > 1) });
  });

  it("holds the bench and its PyTorch side", async () => {
    const { stdout } = await run(join(folder, "lfp"), ["bench", "gpu", "--help"], bare);
    expect(stdout).toContain("pytorch_gpu.py");
    const node = join(folder, "node_modules/.bin/node");
    // Its arguments are looked at after all of its imports.
    const bench = run(node, [join(folder, "test/bench/gpu.ts"), "--no-such"], bare);
    await expect(bench).rejects.toThrow("Unknown option '--no-such'");
  });
});
