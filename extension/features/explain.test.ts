import { beforeEach, describe, expect, it } from "vitest";
import { ExplainFeatures, PreviewExplain } from "../../server/protocol/features.ts";
import { messages, picks, setConfiguration, shownLists, statusMessages } from "../../test/support/vscode-stub.ts";
import type { Extension } from "../context.ts";
import { explainFeatures } from "./explain.ts";

const OFFLINE = "$(device-desktop) Offline";

/** The extension with a server that explains with this result. */
function extensionWith(result: object) {
  const asked: { readonly method: string; readonly params: unknown }[] = [];
  const extension = {
    models: { list: async () => [] },
    features: { onProgress: () => ({ dispose: () => undefined }), tellChanged: () => undefined },
    server: {
      request: async ({ method }: { readonly method: string }, params: unknown) => {
        asked.push({ method, params });
        return method === ExplainFeatures.method ? result : {};
      },
    },
  } as unknown as Extension;
  return { extension, asked };
}

const result = { explained: 1, failed: 0, reasons: [], spentUsd: null, stoppedAtCap: false };

beforeEach(() => {
  for (const list of [picks, shownLists, messages, statusMessages]) list.length = 0;
  setConfiguration("lfpLens.explain.endpoint", undefined);
});

describe("explaining", () => {
  it("is free and offline whatever address the settings name, and the service's entry says what is wrong", async () => {
    setConfiguration("lfpLens.explain.endpoint", "not an address");
    const { extension, asked } = extensionWith(result);
    picks.push(OFFLINE);
    await explainFeatures(extension, "/runs/quick", ["L1/F2"]);
    const [offline, endpoint] = shownLists[0] ?? [];
    expect(offline).toMatchObject({ label: OFFLINE });
    expect(endpoint).toMatchObject({ detail: expect.stringContaining("is no address: “not an address”") });
    expect(asked.map(({ method }) => method)).toEqual([PreviewExplain.method, ExplainFeatures.method]);
    expect(asked[1]?.params).toMatchObject({ ids: ["L1/F2"], endpoint: null, editorModel: null, capUsd: null });
    expect([messages, statusMessages]).toEqual([[], ["LFP Lens: 1 explained"]]);
  });

  it("tells why features were not explained", async () => {
    const reasons = ["the endpoint could not be reached (ECONNREFUSED)"];
    const { extension } = extensionWith({ ...result, explained: 0, failed: 1, reasons });
    picks.push(OFFLINE);
    await explainFeatures(extension, "/runs/quick", ["L1/F2"]);
    expect(messages).toEqual(["LFP Lens: 0 explained, 1 failed (the endpoint could not be reached (ECONNREFUSED))."]);
  });
});
