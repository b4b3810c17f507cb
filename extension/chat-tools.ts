/** The questions about runs as tools of VS Code's chat, while a setting has them on. */
import * as vscode from "vscode";
import type { QuestionName } from "../server/protocol/questions.ts";
import type { Extension } from "./context.ts";
import { readSetting, section } from "./settings.ts";

/** What chat shows while a tool works. */
const working: { readonly [Q in QuestionName]: string } = {
  score: "Reading the text through LFP Lens",
  features: "Listing features in LFP Lens",
  feature: "Looking up a feature in LFP Lens",
  report: "Reading a run's report in LFP Lens",
  status: "Listing runs in LFP Lens",
};

/** A tool's name in package.json. */
export function toolName(question: QuestionName): string {
  return `lfpLens_${question}`;
}

/** Offers the tools while `lfpLens.chatTools.enabled` is on. */
export class ChatTools implements vscode.Disposable {
  readonly #extension: Extension;
  readonly #following: vscode.Disposable;
  #tools: vscode.Disposable | undefined;

  constructor(extension: Extension) {
    this.#extension = extension;
    this.#update();
    this.#following = vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration(`${section}.chatTools`)) this.#update();
    });
  }

  dispose(): void {
    this.#following.dispose();
    this.#tools?.dispose();
  }

  #update(): void {
    const isWanted = readSetting("chatTools.enabled");
    if (isWanted === (this.#tools !== undefined)) return;
    this.#tools?.dispose();
    const questions = Object.keys(working) as QuestionName[];
    this.#tools = isWanted
      ? vscode.Disposable.from(...questions.map((question) => this.#register(question)))
      : undefined;
  }

  #register(question: QuestionName): vscode.Disposable {
    return vscode.lm.registerTool<Record<string, unknown>>(toolName(question), {
      prepareInvocation: () => ({ invocationMessage: working[question] }),
      invoke: async ({ input }, token) => {
        const { Ask } = await import("../server/protocol/questions.ts");
        const { answer } = await this.#extension.server.request(Ask, { question, input }, token);
        return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(answer)]);
      },
    });
  }
}
