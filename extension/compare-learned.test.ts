import { expect, it } from "vitest";
import { ChooseRun, CompareLearned, ComparePair, type LensTarget } from "../server/protocol/lens-state.ts";
import { closeDifference, showDifference } from "./compare-learned.ts";
import type { Extension } from "./context.ts";
import type { ModeChoice } from "./overlay/modes.ts";

/** The extension as far as choosing a target needs it; `asked` is what server and overlay were asked, in order. */
function extensionAt(target: LensTarget | null, choice: ModeChoice | undefined, failure?: Error) {
  const state = new Map<string, unknown>(target === null ? [] : [["lfpLens.lookedThrough", target]]);
  const asked: unknown[] = [];
  const overlay = {
    choice,
    show: (shown: ModeChoice) => asked.push(["show", shown]),
    hide: () => asked.push(["hide"]),
  };
  const extension = {
    vscode: {
      workspaceState: {
        get: (key: string) => state.get(key),
        update: async (key: string, value: unknown) => void state.set(key, value),
      },
    },
    server: {
      request: async ({ method }: { readonly method: string }, params: unknown) => {
        asked.push([method, params]);
        if (failure !== undefined) throw failure;
      },
    },
    overlay,
  } as unknown as Extension;
  return { extension, asked, remembered: () => state.get("lfpLens.lookedThrough") };
}

const [a, b, c] = ["/w/runs/a", "/w/runs/b", "/w/runs/c"];
const pair = { kind: "pair", tuned: "/w/tuned", base: "/w/base" } as const;

it.each([
  [
    "two checkpoints in their mode",
    pair,
    { kind: "kl" },
    [ComparePair.method, { ...pair, kind: undefined, open: false }],
    ["show", { kind: "kl" }],
  ],
  ["a run, plain", { kind: "run", folder: c }, undefined, [ChooseRun.method, { runFolder: c }], ["hide"]],
  ["what the server chooses", null, "auto", [ChooseRun.method, { runFolder: null }], ["show", "auto"]],
] as const)("closing the difference of two runs brings back %s", async (_, target, choice, asks, shows) => {
  const { extension, asked, remembered } = extensionAt(target, choice);
  await showDifference(extension, a, b);
  expect(asked).toEqual([
    [CompareLearned.method, { a, b, open: true }],
    ["show", "auto"],
  ]);
  expect(remembered()).toEqual({ kind: "difference", a, b });
  // Another difference on top does not become what was before.
  await showDifference(extension, b, c);
  asked.length = 0;
  await closeDifference(extension);
  expect(asked).toEqual([asks, shows]);
  expect(remembered()).toEqual(target ?? undefined);
});

it("runs that cannot be compared change nothing", async () => {
  const { extension, asked, remembered } = extensionAt(pair, { kind: "kl" }, new Error("no tuned model yet"));
  await expect(showDifference(extension, a, b)).rejects.toThrow("no tuned model yet");
  expect(asked).toHaveLength(1);
  expect(remembered()).toEqual(pair);
});
