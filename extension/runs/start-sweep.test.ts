/** Sweeps that are started from the editor, where the workspace is trusted. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { messages, Uri, workspace } from "../../test/support/vscode-stub.ts";
import type { Extension } from "../context.ts";
import { resumeSweep, startSweep } from "./start-sweep.ts";

const asked: string[] = [];
/** Whatever a command would begin with is noted, and does not come. */
const extension = {
  runs: {
    model: {
      all: async () => {
        asked.push("runs");
        throw new Error("the runs were asked for");
      },
    },
  },
} as unknown as Extension;

beforeEach(() => {
  asked.length = 0;
  messages.length = 0;
});
afterEach(() => {
  workspace.isTrusted = true;
});

test("no sweep is started or gone on with in a workspace that is not trusted, and the reason is said", async () => {
  workspace.isTrusted = false;
  await startSweep(extension, Uri.file("/w/a.lfp-sweep.json"));
  await resumeSweep(extension, { sweep: "/w/runs/a" });
  expect(messages).toEqual([
    "LFP Lens: starting a sweep needs a trusted workspace.",
    "LFP Lens: going on with a sweep needs a trusted workspace.",
  ]);
  expect(asked).toEqual([]);
});

test("in a trusted one the sweep's runs are asked for", async () => {
  await expect(resumeSweep(extension, { sweep: "/w/runs/a" })).rejects.toThrow("the runs were asked for");
  expect(messages).toEqual([]);
});
