import { expect, it, vi } from "vitest";
import * as stub from "../test/support/vscode-stub.ts";
import type { Extension } from "./context.ts";
import { inspectPair, PairDocuments } from "./inspect-pair.ts";

const request = vi.fn(async () => ({ markdown: "# Tokens" }));

function edit(path: string, lines: readonly string[], line: number): void {
  stub.window.activeTextEditor = {
    document: { uri: stub.Uri.file(path), lineAt: (at) => ({ text: lines[at] ?? "" }) },
    selection: { active: { line } },
  };
}

it("sends the record at the cursor, and shows its tokens as a document that no file holds", async () => {
  const pairDocuments = new PairDocuments();
  const extension = { server: { request }, pairDocuments } as unknown as Extension;
  edit("/data/pairs.jsonl", ["{}", '{"chosen": "a"}'], 1);
  await inspectPair(extension);
  expect(request).toHaveBeenCalledWith(
    expect.objectContaining({ method: "lfp/inspectPair" }),
    { record: '{"chosen": "a"}', data: "pairs.jsonl", row: 1 },
    stub.cancelToken,
  );
  const [command, uri] = stub.executed.at(-1) ?? [];
  expect([command, String(uri)]).toEqual(["markdown.showPreview", "lfp-pair-tokens:///1/Tokens of row 1.md"]);
  expect(stub.textOf(uri)).toBe("# Tokens");
  for (let more = 0; more < 20; more += 1) await inspectPair(extension);
  expect(stub.textOf(uri)).toBe("These tokens are no longer kept. Inspect the pair again.");
  pairDocuments.dispose();
});

it("asks for a .jsonl file, and takes no record beyond the limit", async () => {
  const extension = { server: { request }, pairDocuments: undefined } as unknown as Extension;
  request.mockClear();
  edit("/data/pairs.txt", ["{}"], 0);
  await expect(inspectPair(extension)).rejects.toThrow("Open a .jsonl file of preference pairs");
  edit("/data/pairs.jsonl", ["x".repeat(2 ** 20 + 1)], 0);
  await expect(inspectPair(extension)).rejects.toThrow("1048577 characters; at most 1048576");
  stub.window.activeTextEditor = undefined;
  await expect(inspectPair(extension)).rejects.toThrow("Open a .jsonl file");
  expect(request).not.toHaveBeenCalled();
});
