import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { sweepProcess } from "./sweep-process.ts";

test("a sweep that the editor starts is kept in the workspace's folder of runs", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lfp-editor-sweep-"));
  const file = join(folder, "alphas.lfp-sweep.json");
  await writeFile(file, JSON.stringify({ base: "quick", grid: { "probe.alpha": [1, 10] } }));
  const program = fileURLToPath(new URL("../../server/cli.ts", import.meta.url));
  const { args, env } = sweepProcess({
    program,
    sweep: { file, runsRoot: join(folder, "my runs") },
    runOn: "local",
  });
  const { stdout } = await promisify(execFile)(process.execPath, [...args, "--dry-run", "--json"], {
    env: { ...process.env, ...env },
  });
  expect(JSON.parse(stdout)).toMatchObject({ folder: join(folder, "my runs", "alphas"), runs: [{}, {}] });
  await rm(folder, { recursive: true });
});
