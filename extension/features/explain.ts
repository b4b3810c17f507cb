/**
 * Explanations on demand. Asks for the explainer, shows the cost, and asks for a cap; sends nothing before the person
 * has agreed.
 */
import { randomUUID } from "node:crypto";
import * as vscode from "vscode";
import { type Endpoint, endpointWithKey, service } from "../api-key.ts";
import type { Extension } from "../context.ts";
import { readSetting } from "../settings.ts";
import { spendText } from "./feature-text.ts";
import { withJob } from "./jobs.ts";

/** Explains features; `ids` null: those that the method selects. */
export async function explainFeatures(extension: Extension, runFolder: string, ids: string[] | null): Promise<void> {
  const explainer = await chooseExplainer();
  if (explainer === undefined) return;
  const capUsd = readSetting("explain.capUsd");
  const { ExplainFeatures, PreviewExplain } = await import("../../server/protocol/features.ts");
  const preview = await extension.server.request(PreviewExplain, {
    runFolder,
    ids,
    endpoint: explainer === "offline" ? null : service(),
  });
  let endpoint: Endpoint | null = null;
  if (explainer === "endpoint") {
    const agreed = await vscode.window.showWarningMessage(
      `Explain with ${readSetting("explain.model")}?`,
      { modal: true, detail: spendText(preview, capUsd) },
      "Explain",
    );
    if (agreed !== "Explain") return;
    endpoint = (await endpointWithKey(extension)) ?? null;
    if (endpoint === null) return;
  }
  const job = randomUUID();
  const result = await withJob(extension, job, "explaining features", async (token) =>
    extension.server.request(
      ExplainFeatures,
      { runFolder, ids, endpoint, capUsd: explainer === "offline" ? null : capUsd, job },
      token,
    ),
  );
  extension.features.tellChanged(runFolder);
  const spent = result.spentUsd === null || explainer === "offline" ? "" : ` for $${result.spentUsd.toFixed(2)}`;
  // With square brackets, VS Code could render a service's words as a link.
  const reasons = result.reasons.join("; ").replace(/[[\]]/g, " ");
  const failed = result.failed > 0 ? `, ${result.failed} failed` : ", some judgements are missing";
  const text = `${result.explained} explained${spent}${reasons === "" ? "" : `${failed} (${reasons})`}`;
  if (result.stoppedAtCap)
    void vscode.window.showWarningMessage(`LFP Lens: stopped at the cap of $${capUsd.toFixed(2)}. ${text}.`);
  else if (reasons !== "") void vscode.window.showWarningMessage(`LFP Lens: ${text}.`);
  else vscode.window.setStatusBarMessage(`LFP Lens: ${text}`, 8000);
}

/**
 * The line below the service's name. Never throws: an invalid setting must not keep people from choosing the offline
 * explainer.
 */
function endpointDetail(): string {
  try {
    return `At ${new URL(service().baseUrl).origin}. You are told what it costs before anything is sent.`;
  } catch (error) {
    return `Not to be had: ${error instanceof Error ? error.message : String(error)}`;
  }
}

async function chooseExplainer(): Promise<"offline" | "endpoint" | undefined> {
  const items = [
    {
      label: "$(device-desktop) Offline",
      detail: "From peak tokens, promoted tokens and the lexicon. Free, at once, and nothing leaves this machine.",
      explainer: "offline",
    },
    {
      label: `$(cloud) ${readSetting("explain.model")}`,
      detail: endpointDetail(),
      explainer: "endpoint",
    },
  ] as const;
  return (
    await vscode.window.showQuickPick(items, {
      title: "LFP Lens: who explains?",
      placeHolder: "Scored the same way either way",
    })
  )?.explainer;
}
