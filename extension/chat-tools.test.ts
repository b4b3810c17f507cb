import { expect, it, vi } from "vitest";
import { registeredTools, setConfiguration } from "../test/support/vscode-stub.ts";
import { ChatTools } from "./chat-tools.ts";
import type { Extension } from "./context.ts";

const request = vi.fn(async () => ({ answer: "Run mine" }));
const extension = { server: { request } } as unknown as Extension;

interface Tool {
  invoke(options: { readonly input: unknown }, token: unknown): Promise<{ readonly content: unknown }>;
}

it("offers no tool until the setting is on, and none once it is off again", async () => {
  const tools = new ChatTools(extension);
  expect([...registeredTools.keys()]).toEqual([]);
  setConfiguration("lfpLens.chatTools.enabled", true);
  expect([...registeredTools.keys()].toSorted((a, b) => a.localeCompare(b))).toEqual([
    "lfpLens_feature",
    "lfpLens_features",
    "lfpLens_report",
    "lfpLens_score",
    "lfpLens_status",
  ]);
  setConfiguration("lfpLens.chatTools.enabled", false);
  expect([...registeredTools.keys()]).toEqual([]);
  setConfiguration("lfpLens.chatTools.enabled", true);
  tools.dispose();
  expect([...registeredTools.keys()]).toEqual([]);
  setConfiguration("lfpLens.chatTools.enabled", false);
});

it("asks the server and gives its answer, with the token that gives up", async () => {
  setConfiguration("lfpLens.chatTools.enabled", true);
  const tools = new ChatTools(extension);
  const token = {};
  const tool = registeredTools.get("lfpLens_status") as Tool;
  expect((await tool.invoke({ input: { run: "mine" } }, token)).content).toEqual([{ value: "Run mine" }]);
  expect(request).toHaveBeenCalledWith(
    expect.objectContaining({ method: "lfp/ask" }),
    { question: "status", input: { run: "mine" } },
    token,
  );
  tools.dispose();
  setConfiguration("lfpLens.chatTools.enabled", false);
});
