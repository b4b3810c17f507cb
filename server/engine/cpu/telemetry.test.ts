import { execFile } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";

const run = promisify(execFile);

const computeOnce = fileURLToPath(new URL("../../../test/support/compute-once.ts", import.meta.url));

/** What the variables that a build machine sets would hide: the runtime is silent there by itself. */
const buildMachine =
  /^(CI|TF_BUILD|GITHUB_|GITLAB_|BUILD_|JENKINS|TRAVIS|APPVEYOR|CIRCLECI|BUILDKITE|TEAMCITY|VITEST|CODEBUILD|ORT_)/;

/** Names of the files that computing leaves behind in a home folder (and a folder for temporary files) that was empty. */
async function filesLeftBy(env: Record<string, string>): Promise<string[]> {
  const home = await mkdtemp(join(tmpdir(), "lfp-home-"));
  try {
    const kept = Object.entries(process.env).filter(([name]) => !buildMachine.test(name) && !name.startsWith("XDG_"));
    const { stdout } = await run(process.execPath, [computeOnce], {
      env: { ...Object.fromEntries(kept), HOME: home, TMPDIR: home, ...env },
    });
    expect(stdout.trim()).toBe("1 2 0 1");
    return await readdir(home, { recursive: true });
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

describe("ONNX Runtime's telemetry", () => {
  it("is off: no device id, no cache of events and no log is written when the CPU device computes", async () => {
    expect(await filesLeftBy({})).toEqual([]);
  });

  it("stays off where the user's environment asks for it with a value that the runtime would not heed", async () => {
    expect(await filesLeftBy({ ORT_DISABLE_TELEMETRY: "0" })).toEqual([]);
  });

  it("is never left on: a device opened on a worker thread, where it could not be switched off, is refused", async () => {
    const worker = new Worker(pathToFileURL(computeOnce), { env: {} });
    const error = await new Promise((resolve) => worker.once("error", resolve));
    expect(String(error)).toContain("open the device on the main thread");
  });
});
