/** VS Code's own language models as explainers: no key, VS Code's consent, and the quota of the person's plan. */
import * as vscode from "vscode";
import type { Completed, ModelMessage } from "../../server/protocol/complete.ts";
import { messageOf } from "../server-failure.ts";

/** Longest answer that is read; explanations and judgements are far shorter. */
const MAX_ANSWER = 100_000;

/** Answers the server's questions for jobs that a person started with a model. */
export class EditorModels {
  /** The models of running jobs: the server can ask nothing outside of one. */
  readonly #jobs = new Map<string, vscode.LanguageModelChat>();

  /** The language models that VS Code offers; none if it offers none, or cannot say. */
  async list(): Promise<readonly vscode.LanguageModelChat[]> {
    try {
      return await vscode.lm.selectChatModels({});
    } catch {
      return [];
    }
  }

  /** Lets the server ask the model for the time of `work`. */
  async during<T>(job: string, model: vscode.LanguageModelChat, work: () => Promise<T>): Promise<T> {
    this.#jobs.set(job, model);
    try {
      return await work();
    } finally {
      this.#jobs.delete(job);
    }
  }

  /** Answers one question. Never throws: what VS Code refuses is an answer too. */
  async complete(
    { job, messages }: { readonly job: string; readonly messages: readonly ModelMessage[] },
    token: vscode.CancellationToken,
  ): Promise<Completed> {
    const model = this.#jobs.get(job);
    if (model === undefined) return { kind: "refused", reason: "no such explanation is under way", isFinal: true };
    try {
      const options = { justification: "LFP Lens explains features of a language model from examples, as you asked." };
      const { text } = await model.sendRequest(messages.map(chatMessage), options, token);
      let answer = "";
      for await (const part of text) {
        answer += part;
        if (answer.length > MAX_ANSWER) return { kind: "refused", reason: "its answer is too long", isFinal: false };
      }
      return { kind: "answer", text: answer };
    } catch (error) {
      return { kind: "refused", reason: messageOf(error) || String(error), isFinal: isFinal(error) };
    }
  }
}

function chatMessage({ role, content }: ModelMessage): vscode.LanguageModelChatMessage {
  return role === "user"
    ? vscode.LanguageModelChatMessage.User(content)
    : vscode.LanguageModelChatMessage.Assistant(content);
}

/** Whether every other question would be refused too: no consent, no quota, no such model. */
function isFinal(error: unknown): boolean {
  if (!(error instanceof vscode.LanguageModelError)) return false;
  return [
    vscode.LanguageModelError.NoPermissions,
    vscode.LanguageModelError.Blocked,
    vscode.LanguageModelError.NotFound,
  ]
    .map(({ name }) => name)
    .includes(error.code);
}
