/** A Ray of one node, from the virtual environment that make-ray.sh makes. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const ray = join(process.env["LFP_TEST_RAY"] ?? join(homedir(), ".cache", "lfp-lens-ray"), "bin", "ray");

/** Whether Ray is installed for tests. */
export const canStartRay = existsSync(ray);

export interface TestRay {
  readonly address: string;
  /** Ends the cluster and starts it anew at the same address; it knows no jobs then. */
  readonly restart: () => Promise<void>;
  /** Ends the cluster and its jobs. */
  readonly stop: () => Promise<void>;
}

/** Starts a cluster of this machine alone, with its files in a folder of its own, and makes it the one of the user's settings. */
export async function startRay(): Promise<TestRay> {
  // Ray's sockets lie below it, and their paths may have 107 bytes.
  const folder = await mkdtemp(join(tmpdir(), "lray-"));
  const [port, dashboard, agent] = [await freePort(), await freePort(), await freePort()];
  const address = `http://127.0.0.1:${dashboard}`;
  const args = [
    "start",
    "--head",
    "--num-cpus=2",
    `--port=${port}`,
    "--include-dashboard=true",
    `--dashboard-port=${dashboard}`,
    `--dashboard-agent-listen-port=${agent}`,
    "--object-store-memory=100000000",
    "--disable-usage-stats",
    `--temp-dir=${folder}`,
    "--block",
  ];
  // In the foreground, so that its end is ours: `ray stop` ends every cluster of the machine.
  const startHead = async () => {
    const child = execFile(ray, args, { env: { ...process.env, RAY_USAGE_STATS_ENABLED: "0" } });
    const over = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    // The agent, without which no job is submitted, comes up after the dashboard.
    await answers(`${address}/api/jobs/`);
    await answers(`http://127.0.0.1:${agent}/api/local_raylet_healthz`);
    return async () => {
      child.kill("SIGTERM");
      await over;
    };
  };
  let stopHead = await startHead();
  const before = process.env["LFP_EXECUTORS"];
  process.env["LFP_EXECUTORS"] = join(folder, "executors.json");
  await writeFile(process.env["LFP_EXECUTORS"], JSON.stringify({ ray: { address, stopSeconds: 20 } }));
  return {
    address,
    restart: async () => {
      await stopHead();
      stopHead = await startHead();
    },
    stop: async () => {
      if (before === undefined) delete process.env["LFP_EXECUTORS"];
      else process.env["LFP_EXECUTORS"] = before;
      await stopHead();
      await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 500 });
    },
  };
}

/** Waits until there is an answer, which takes Ray half a minute after its start. */
async function answers(url: string): Promise<void> {
  const retry = ["--retry", "120", "--retry-delay", "1", "--retry-all-errors", "--fail", "--silent"];
  await promisify(execFile)("curl", [...retry, url]);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const place = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (place === null || typeof place === "string") throw new TypeError("a server listens at a port");
  return place.port;
}
