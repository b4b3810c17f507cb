/**
 * Explanations on demand. Asks for the explainer, shows the cost, and asks for a cap; sends nothing before the person
 * has agreed.
 */
import { randomUUID } from "node:crypto";
import * as vscode from "vscode";
import type { ExplainFeatures } from "../../server/protocol/features.ts";
import type { ResultOf } from "../../server/protocol/message.ts";
import { type Endpoint, endpointWithKey, service } from "../api-key.ts";
import type { Extension } from "../context.ts";
import { readSetting } from "../settings.ts";
import { editorSpendText, spendText } from "./feature-text.ts";
import { withJob } from "./jobs.ts";

/** Explains features; `ids` null: those that the method selects. */
export async function explainFeatures(extension: Extension, runFolder: string, ids: string[] | null): Promise<void> {
  const explainer = await chooseExplainer(await extension.models.list());
  if (explainer === undefined) return;
  const capUsd = readSetting("explain.capUsd");
  const { ExplainFeatures, PreviewExplain } = await import("../../server/protocol/features.ts");
  const editorModel = explainer.kind === "editor" ? { vendor: explainer.model.vendor, id: explainer.model.id } : null;
  const preview = await extension.server.request(PreviewExplain, {
    runFolder,
    ids,
    endpoint: explainer.kind === "endpoint" ? service() : null,
    editorModel,
  });
  if (explainer.kind !== "offline") {
    const agreed = await vscode.window.showWarningMessage(
      `Explain with ${nameOf(explainer)}?`,
      {
        modal: true,
        detail: explainer.kind === "editor" ? editorSpendText(preview, nameOf(explainer)) : spendText(preview, capUsd),
      },
      "Explain",
    );
    if (agreed !== "Explain") return;
  }
  let endpoint: Endpoint | null = null;
  if (explainer.kind === "endpoint") {
    endpoint = (await endpointWithKey(extension)) ?? null;
    if (endpoint === null) return;
  }
  const job = randomUUID();
  const question = { runFolder, ids, endpoint, editorModel, capUsd: endpoint === null ? null : capUsd, job };
  const ask = (): Promise<ResultOf<typeof ExplainFeatures> | undefined> =>
    withJob(extension, job, "explaining features", async (token) =>
      extension.server.request(ExplainFeatures, question, token),
    );
  const result = await (explainer.kind === "editor" ? extension.models.during(job, explainer.model, ask) : ask());
  extension.features.tellChanged(runFolder);
  if (result === undefined)
    vscode.window.setStatusBarMessage("LFP Lens: stopped; what was explained by then is kept.", 8000);
  else tellResult(result, capUsd, explainer.kind === "endpoint");
}

function tellResult(result: ResultOf<typeof ExplainFeatures>, capUsd: number, isPaid: boolean): void {
  const spent = result.spentUsd === null || !isPaid ? "" : ` for $${result.spentUsd.toFixed(2)}`;
  // With square brackets, VS Code could render a service's words as a link.
  const reasons = result.reasons.join("; ").replace(/[[\]]/g, " ");
  const failed = result.failed > 0 ? `, ${result.failed} failed` : ", some judgements are missing";
  const text = `${result.explained} explained${spent}${reasons === "" ? "" : `${failed} (${reasons})`}`;
  if (result.stoppedAtCap)
    void vscode.window.showWarningMessage(`LFP Lens: stopped at the cap of $${capUsd.toFixed(2)}. ${text}.`);
  else if (reasons !== "") void vscode.window.showWarningMessage(`LFP Lens: ${text}.`);
  else vscode.window.setStatusBarMessage(`LFP Lens: ${text}`, 8000);
}

/** Who explains: this program, the service of the settings, or a language model of VS Code. */
type ExplainerChoice =
  | { readonly kind: "offline" }
  | { readonly kind: "endpoint" }
  | { readonly kind: "editor"; readonly model: vscode.LanguageModelChat };

function nameOf(explainer: Exclude<ExplainerChoice, { kind: "offline" }>): string {
  return explainer.kind === "endpoint"
    ? readSetting("explain.model")
    : `${explainer.model.name} (${explainer.model.vendor})`;
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

async function chooseExplainer(models: readonly vscode.LanguageModelChat[]): Promise<ExplainerChoice | undefined> {
  const items: (vscode.QuickPickItem & { readonly explainer: ExplainerChoice })[] = [
    {
      label: "$(device-desktop) Offline",
      detail: "From peak tokens, promoted tokens and the lexicon. Free, at once, and nothing leaves this machine.",
      explainer: { kind: "offline" },
    },
    {
      label: `$(cloud) ${readSetting("explain.model")}`,
      detail: endpointDetail(),
      explainer: { kind: "endpoint" },
    },
    ...models.map((model) => ({
      label: `$(chip) ${model.name}`,
      description: model.vendor,
      detail: "A language model of VS Code: no key; VS Code may ask for your consent, and your plan there counts.",
      explainer: { kind: "editor", model } as const,
    })),
  ];
  return (
    await vscode.window.showQuickPick(items, {
      title: "LFP Lens: who explains?",
      placeHolder: "Scored the same way either way",
      matchOnDescription: true,
    })
  )?.explainer;
}
