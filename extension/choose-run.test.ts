import { beforeEach, describe, expect, it } from "vitest";
import { ChooseRun } from "../server/protocol/lens-state.ts";
import { ListRuns, RunView } from "../server/protocol/runs.ts";
import { picks, shownLists } from "../test/support/vscode-stub.ts";
import { chooseRun } from "./choose-run.ts";
import type { Extension } from "./context.ts";

const run = (folder: string): RunView =>
  RunView.parse({
    folder,
    name: folder.slice(folder.lastIndexOf("/") + 1),
    state: { kind: "done" },
    stages: [],
    updated: null,
    hasReport: true,
    hasProbe: true,
  });

/** The extension while `current` is looked through, with a server that answers a choice with `answer`. */
function extensionAt(current: string, answer: unknown = { kind: "none" }) {
  const chosen: unknown[] = [];
  const extension = {
    lens: { kind: "chosen", target: { kind: "run", folder: current } },
    vscode: { workspaceState: { update: async () => undefined } },
    server: {
      request: async ({ method }: { readonly method: string }, params: unknown) => {
        if (method === ListRuns.method) return { runs: [run("/w/runs/mine")], bundled: run("/own/starter-run") };
        chosen.push([method, params]);
        return answer;
      },
    },
  } as unknown as Extension;
  return { extension, chosen };
}

beforeEach(() => {
  for (const list of [picks, shownLists]) list.length = 0;
});

describe("choosing a run", () => {
  it("offers the bundled run beside those of the workspace, and marks the one that is looked through", async () => {
    const { extension, chosen } = extensionAt("/w/runs/mine");
    picks.push("starter-run");
    await chooseRun(extension);
    expect(shownLists[0]?.map(({ label }) => label)).toEqual([
      "$(history) The newest finished run",
      "$(check) mine",
      "starter-run",
    ]);
    expect(chosen).toEqual([[ChooseRun.method, { runFolder: "/own/starter-run" }]]);
  });

  it("leaves everything as it is when the list is closed, and tells why a run cannot be opened", async () => {
    const { extension, chosen } = extensionAt("/own/starter-run", {
      kind: "failed",
      target: { kind: "run", folder: "/w/runs/mine" },
      failure: { code: "input", message: "model.safetensors is not there" },
    });
    picks.push(undefined, "mine");
    await chooseRun(extension);
    expect(chosen).toEqual([]);
    await expect(chooseRun(extension)).rejects.toThrow("model.safetensors is not there");
  });
});
