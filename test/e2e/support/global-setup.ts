/** Once for all end-to-end tests: VS Code is installed, the extension packed and installed into it; or it is said why that cannot be. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { buildAll } from "../../../scripts/build.ts";
import { packageFor } from "../../../scripts/package.ts";
import { findBrowser, installExtension, installHost } from "./host.ts";

/** What every test file is given. */
export type Ground =
  | { readonly ready: true; readonly browser: string; readonly extensionsFolder: string }
  | { readonly ready: false; readonly why: string };

declare module "vitest" {
  interface ProvidedContext {
    ground: Ground;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), "lfp-e2e-"));
  const ground = await prepare(folder);
  if (!ground.ready) console.log(`The end-to-end tests are skipped: ${ground.why}`);
  project.provide("ground", ground);
  return async () => await rm(folder, { recursive: true, force: true });
}

async function prepare(folder: string): Promise<Ground> {
  if (process.platform !== "linux") return { ready: false, why: "they need Linux" };
  const browser = findBrowser();
  if (browser === undefined) return { ready: false, why: "there is no Chromium (apt-get install chromium)" };
  try {
    await installHost();
  } catch (error) {
    return {
      ready: false,
      why: `VS Code could not be installed: ${String(error).trim().split("\n").slice(-3).join(" / ")}`,
    };
  }
  // While tests are written: an extension that is installed already.
  const installed = process.env["LFP_E2E_EXTENSIONS"];
  if (installed !== undefined) return { ready: true, browser, extensionsFolder: installed };
  const extensionsFolder = join(folder, "extensions");
  await buildAll();
  const vsix = await packageFor(process.arch === "arm64" ? "linux-arm64" : "linux-x64", folder);
  await installExtension(vsix, extensionsFolder);
  return { ready: true, browser, extensionsFolder };
}
