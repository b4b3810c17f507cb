import * as vscode from "vscode";
import { FeatureId } from "../../server/protocol/ablation.ts";

/** Asks for a feature's id where no list is available; undefined if the person enters none. */
export async function askForFeature(title: string): Promise<string | undefined> {
  return await vscode.window.showInputBox({
    title,
    prompt: "Such as L4/F43: feature 43 of layer 4",
    validateInput: (text) => (FeatureId.safeParse(text).success ? undefined : "Expected a feature such as L4/F43"),
  });
}
