import { beforeEach, describe, expect, it } from "vitest";
import { ExplainFeatures, PreviewExplain } from "../../server/protocol/features.ts";
import {
  cancelToken,
  messages,
  picks,
  setConfiguration,
  shownLists,
  statusMessages,
} from "../../test/support/vscode-stub.ts";
import type { Extension } from "../context.ts";
import { ServerFailure } from "../server-failure.ts";
import { explainFeatures } from "./explain.ts";

const OFFLINE = "$(device-desktop) Offline";

/** The extension with a server that explains with this result, or fails with it. */
function extensionWith(result: object) {
  const changed: string[] = [];
  const asked: { readonly method: string; readonly params: unknown }[] = [];
  const extension = {
    models: { list: async () => [] },
    features: {
      onProgress: () => ({ dispose: () => undefined }),
      tellChanged: (folder: string) => changed.push(folder),
    },
    server: {
      request: async ({ method }: { readonly method: string }, params: unknown) => {
        asked.push({ method, params });
        if (method !== ExplainFeatures.method) return {};
        if (result instanceof Error) throw result;
        return result;
      },
    },
  } as unknown as Extension;
  return { extension, asked, changed };
}

const result = { explained: 1, failed: 0, reasons: [], spentUsd: null, stoppedAtCap: false };

beforeEach(() => {
  for (const list of [picks, shownLists, messages, statusMessages]) list.length = 0;
  setConfiguration("lfpLens.explain.endpoint", undefined);
  cancelToken.isCancellationRequested = false;
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

  it("that a person cancels is no error: what was explained by then is shown, and said to be kept", async () => {
    const failure = new ServerFailure({ code: "cancelled", message: "cancelled" }, undefined);
    const { extension, changed } = extensionWith(failure);
    cancelToken.isCancellationRequested = true;
    picks.push(OFFLINE);
    await explainFeatures(extension, "/runs/quick", null);
    expect(changed).toEqual(["/runs/quick"]);
    const said = "LFP Lens: stopped; what was explained by then is kept.";
    expect([messages, statusMessages]).toEqual([[], [said]]);
    // One that nobody cancelled is told as it is.
    cancelToken.isCancellationRequested = false;
    picks.push(OFFLINE);
    await expect(explainFeatures(extension, "/runs/quick", null)).rejects.toBe(failure);
  });
});
