/**
 * API keys of explanation services. VS Code's secret storage keeps each key for one origin, which its owner has
 * confirmed; it is used for that origin only. An endpoint elsewhere has no key until someone enters one for it.
 */
import * as vscode from "vscode";
import type { Extension } from "./context.ts";
import { readSetting } from "./settings.ts";

/** A service without its key. */
export interface Service {
  readonly baseUrl: string;
  readonly model: string;
  /** Dollars per million tokens. */
  readonly prices: { readonly inputUsd: number; readonly outputUsd: number };
}

export interface Endpoint extends Service {
  readonly apiKey: string;
}

export const apiKeyCommands = {
  "lfpLens.setApiKey": async (extension: Extension) => {
    await enterKey(extension, endpointUrl());
  },
  "lfpLens.removeApiKey": removeKey,
} as const;

/** The endpoint of the settings with its key. Asks for a missing key; undefined if the person declines. */
export async function endpointWithKey(extension: Extension): Promise<Endpoint | undefined> {
  const url = endpointUrl();
  const apiKey = (await extension.vscode.secrets.get(secretFor(url))) ?? (await enterKey(extension, url));
  return apiKey === undefined ? undefined : { ...service(), apiKey };
}

/** The service that the settings name. */
export function service(): Service {
  return {
    baseUrl: endpointUrl().href,
    model: readSetting("explain.model"),
    prices: { inputUsd: readSetting("explain.inputUsd"), outputUsd: readSetting("explain.outputUsd") },
  };
}

async function enterKey({ vscode: context }: Extension, url: URL): Promise<string | undefined> {
  const consent = "Enter Key";
  const confirmed = await vscode.window.showWarningMessage(
    `Keep a key for ${url.origin}?`,
    {
      modal: true,
      detail: `It is kept in VS Code's secret storage and sent to ${url.origin} only, and only when you ask for explanations.`,
    },
    consent,
  );
  if (confirmed !== consent) return undefined;
  const key = await vscode.window.showInputBox({
    title: `LFP Lens: key for ${url.origin}`,
    password: true,
    ignoreFocusOut: true,
    validateInput: (text) => (text.trim() === "" ? "Expected a key" : undefined),
  });
  if (key === undefined) return undefined;
  await context.secrets.store(secretFor(url), key.trim());
  return key.trim();
}

async function removeKey({ vscode: context }: Extension): Promise<void> {
  const url = endpointUrl();
  const isKept = (await context.secrets.get(secretFor(url))) !== undefined;
  if (isKept) await context.secrets.delete(secretFor(url));
  const what = isKept ? `the key for ${url.origin} was removed` : `no key is kept for ${url.origin}`;
  void vscode.window.showInformationMessage(`LFP Lens: ${what}.`);
}

function endpointUrl(): URL {
  return checkedEndpoint(readSetting("explain.endpoint"));
}

/** Parses an endpoint's address. Throws if `text` is no URL, or if a key sent there could be read in transit. */
export function checkedEndpoint(text: string): URL {
  if (!URL.canParse(text)) throw new Error(`lfpLens.explain.endpoint is no address: “${text}”`);
  const url = new URL(text);
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(url.hostname);
  if (url.protocol === "https:" || (url.protocol === "http:" && isLocal)) return url;
  throw new Error(`lfpLens.explain.endpoint must be an https address, or http on this machine: “${text}”`);
}

function secretFor(url: URL): string {
  return `lfpLens.apiKey ${url.origin}`;
}
