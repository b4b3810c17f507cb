/** A VS Code of its own for one file of tests: a host, a browser, a person's settings, and a folder to work in. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createVSIX } from "@vscode/vsce";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";
import { inject } from "vitest";
import { type Host, installExtension, startHost } from "./host.ts";
import { processesNaming } from "./processes.ts";
import { Workbench } from "./workbench.ts";

export interface SessionOptions {
  /** Files of the folder, by name. */
  readonly files: Readonly<Record<string, string>>;
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Those of the machine on which the extension works, which no folder can set. */
  readonly machineSettings?: Readonly<Record<string, unknown>>;
  readonly trustsFolders?: boolean;
  /** A folder of test/e2e with another extension that is installed too. */
  readonly extension?: string;
  /** Puts a bundle at this path, which stands in the place of the extension's own server. */
  readonly server?: (path: string) => Promise<void>;
}

export interface LogLine {
  /** Since 1970. */
  readonly timeMs: number;
  readonly text: string;
}

/** Of a person who wants no tips, no news and nothing from the network. */
const quiet = {
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
  "workbench.colorTheme": "Default Dark Modern",
  "window.autoDetectColorScheme": false,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "chat.disableAIFeatures": true,
  "extensions.autoUpdate": false,
  "extensions.autoCheckUpdates": false,
  "extensions.ignoreRecommendations": true,
  "telemetry.telemetryLevel": "off",
  "git.enabled": false,
  "files.autoSave": "off",
  "editor.minimap.enabled": false,
  "editor.wordWrap": "on",
  "editor.occurrencesHighlight": "off",
  "editor.hover.delay": 50,
};

/** A busy machine is given time; where what is waited for does not come, a test fails. */
export const WAIT_MS = 120_000;

const flags = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
  ...["--disable-background-networking", "--disable-component-update", "--disable-sync"],
];

export class Session {
  readonly folder: string;
  readonly page: Page;
  readonly #root: string;
  readonly #extensionsFolder: string;
  readonly #host: Host;
  readonly #browser: Browser;

  private constructor(parts: {
    root: string;
    extensionsFolder: string;
    host: Host;
    browser: Browser;
    page: Page;
  }) {
    this.#root = parts.root;
    this.#extensionsFolder = parts.extensionsFolder;
    this.folder = join(parts.root, "folder");
    this.page = parts.page;
    this.#host = parts.host;
    this.#browser = parts.browser;
  }

  static async start({
    files,
    settings = {},
    machineSettings = {},
    trustsFolders = true,
    server,
    extension,
  }: SessionOptions): Promise<Session> {
    const ground = inject("ground");
    if (!ground.ready) throw new Error(ground.why);
    const root = await mkdtemp(join(tmpdir(), "lfp-vscode-"));
    const all = { ...quiet, ...settings };
    await mkdir(join(root, "folder"));
    for (const [name, text] of Object.entries(files)) await writeFile(join(root, "folder", name), text);
    await mkdir(join(root, "user", "User"), { recursive: true });
    await writeFile(join(root, "user", "User", "settings.json"), JSON.stringify(all));
    await mkdir(join(root, "user", "Machine"));
    await writeFile(join(root, "user", "Machine", "settings.json"), JSON.stringify(machineSettings));
    const isOwn = server !== undefined || extension !== undefined;
    const extensionsFolder = isOwn ? join(root, "extensions") : ground.extensionsFolder;
    if (isOwn) await cp(ground.extensionsFolder, extensionsFolder, { recursive: true });
    if (server !== undefined) await withServer(extensionsFolder, server);
    if (extension !== undefined) await withExtension(extensionsFolder, extension, root);
    const host = await startHost({ extensionsFolder, userFolder: join(root, "user"), trustsFolders });
    const browser = await chromium.launch({ executablePath: ground.browser, args: flags });
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    page.setDefaultTimeout(WAIT_MS);
    return new Session({ root, extensionsFolder, host, browser, page });
  }

  async open(): Promise<Workbench> {
    return await Workbench.open(this.page, this.#host.url, this.folder);
  }

  /** The ids of the extension's servers of this session. */
  async serverProcesses(): Promise<number[]> {
    return await processesNaming(this.#extensionsFolder, "dist/server.js");
  }

  /** What the extension (or, as `host`, VS Code for it) has written into its log, by time; a reload goes on with a file of its own. */
  async log(of: "extension" | "host"): Promise<LogLine[]> {
    const logs = join(this.#root, "user", "logs");
    const name = of === "host" ? "remoteexthost.log" : "LFP Lens.log";
    const files = (await readdir(logs, { recursive: true })).filter((file) => file.endsWith(name));
    const texts = await Promise.all(files.map((file) => readFile(join(logs, file), "utf8")));
    return texts.flatMap(linesOfLog).sort((one, other) => one.timeMs - other.timeMs);
  }

  /** Waits until a log has a line with this text that was written after a time, and gives it. */
  async logged(of: "extension" | "host", text: string | RegExp, afterMs = 0): Promise<LogLine> {
    for (;;) {
      const lines = await this.log(of);
      const found = lines.find((line) => line.timeMs >= afterMs && line.text.search(text) >= 0);
      if (found !== undefined) return found;
      // A test's own limit ends this.
      await delay(50);
    }
  }

  async stop(): Promise<void> {
    await this.#browser.close();
    await this.#host.stop();
    await rm(this.#root, { recursive: true, force: true });
  }
}

function linesOfLog(text: string): LogLine[] {
  return [...text.matchAll(/^(\d{4}-\d\d-\d\d) ([\d:.]+) \[\w+\] (.*)$/gm)].map(([, day, time, rest = ""]) => ({
    timeMs: new Date(`${day}T${time}`).getTime(),
    text: rest,
  }));
}

/** The installed extension with another server. */
async function withServer(extensions: string, server: (path: string) => Promise<void>): Promise<void> {
  const own = (await readdir(extensions)).find((name) => name.startsWith("lfp-lens.lfp-lens-"));
  if (own === undefined) throw new Error(`${extensions} holds no LFP Lens`);
  await server(join(extensions, own, "dist", "server.js"));
}

/** Packs and installs another extension. */
async function withExtension(extensions: string, name: string, scratch: string): Promise<void> {
  const packagePath = join(scratch, `${name}.vsix`);
  const cwd = fileURLToPath(new URL(`../${name}`, import.meta.url));
  await createVSIX({ cwd, packagePath, dependencies: false, allowMissingRepository: true, skipLicense: true });
  await installExtension(packagePath, extensions);
}

/** The server of fake-server.ts. */
export async function buildFakeServer(path: string): Promise<void> {
  await build({
    entryPoints: [fileURLToPath(new URL("fake-server.ts", import.meta.url))],
    outfile: path,
    bundle: true,
    platform: "node",
    format: "esm",
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
  });
}
