/** What this machine has and how the extension is set up, for people who look for a fault or report one. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import * as vscode from "vscode";
import * as z from "zod";
import type { Extension } from "./context.ts";
import { messageOf } from "./server-failure.ts";
import { section, settings } from "./settings.ts";

export const diagnosticsCommands = {
  "lfpLens.doctor": async (extension: Extension) => {
    const text = await withNotice("looking at this machine", () => examined(extension));
    await showText(text, "plaintext");
  },
  "lfpLens.copyDiagnostics": async (extension: Extension) => {
    const text = await withNotice("looking at this machine", () => diagnostics(extension));
    await vscode.env.clipboard.writeText(text);
    void vscode.window.showInformationMessage(
      "LFP Lens: the diagnostics are in the clipboard. They name folders of this machine: look them over before you send them.",
    );
  },
  "lfpLens.reportIssue": async (extension: Extension) => {
    const body = reportText(await withNotice("looking at this machine", () => diagnostics(extension)));
    const { bugs } = manifestSchema.parse(extension.vscode.extension.packageJSON);
    if (bugs === undefined) {
      await showText(body, "markdown");
      return;
    }
    const extensionId = extension.vscode.extension.id;
    await vscode.commands.executeCommand("workbench.action.openIssueReporter", { extensionId, issueBody: body });
  },
} as const;

const manifestSchema = z.looseObject({
  version: z.string(),
  bugs: z.looseObject({ url: z.url() }).optional(),
});

/** Runs `lfp doctor` on VS Code's own Node, as the server runs. Never throws. */
async function examined({ vscode: context }: Extension): Promise<string> {
  const program = context.asAbsolutePath("dist/lfp.js");
  const env = { ...process.env, ELECTRON_RUN_AS_NODE: "1", ELECTRON_NO_ASAR: "1", NO_COLOR: "1" };
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [program, "doctor"], { env, timeout: DOCTOR_MS });
    return stdout.trimEnd();
  } catch (error) {
    // A device that does not work makes doctor fail, after it has said so.
    const said = z.object({ stdout: z.string().min(1) }).safeParse(error).data?.stdout;
    return said?.trimEnd() ?? `lfp doctor failed: ${messageOf(error)}`;
  }
}

const DOCTOR_MS = 60_000;

/** Versions, state and settings in Markdown; the settings that choose a service are named without their values. */
async function diagnostics(extension: Extension): Promise<string> {
  const { server, lens, vscode: context } = extension;
  const { version } = manifestSchema.parse(context.extension.packageJSON);
  const facts = [
    `LFP Lens ${version} in ${vscode.env.appName} ${vscode.version} (${vscode.env.appHost}${vscode.env.remoteName === undefined ? "" : `, remote: ${vscode.env.remoteName}`})`,
    `workspace: ${vscode.workspace.workspaceFolders?.length ?? 0} folders, ${vscode.workspace.isTrusted ? "trusted" : "Restricted Mode"}`,
    `analysis server: ${server.state.kind}${server.state.kind === "down" ? ` (${server.state.why})` : ""}`,
    `lens: ${lens.kind}${lens.kind === "failed" ? ` (${lens.failure.message})` : ""}`,
    ...changedSettings(),
  ];
  return [...facts.map((fact) => `- ${fact}`), "", "```", await examined(extension), "```"].join("\n");
}

/** The settings that someone changed. */
export function changedSettings(): string[] {
  const configuration = vscode.workspace.getConfiguration(section);
  return Object.keys(settings).flatMap((name) => {
    const { globalValue, workspaceValue, workspaceFolderValue } = configuration.inspect(name) ?? {};
    const value: unknown = workspaceFolderValue ?? workspaceValue ?? globalValue;
    if (value === undefined) return [];
    return [`${section}.${name}: ${name.startsWith("explain.") ? "set" : JSON.stringify(value)}`];
  });
}

function reportText(found: string): string {
  return [
    "# What went wrong",
    "",
    "(What you did, what you expected, and what happened. If the log says something, add its lines: LFP Lens: Show Log.)",
    "",
    "# Diagnostics",
    "",
    "(They name folders of your machine: look them over before you send this.)",
    "",
    found,
    "",
  ].join("\n");
}

async function showText(content: string, language: string): Promise<void> {
  await vscode.window.showTextDocument(await vscode.workspace.openTextDocument({ content, language }));
}

async function withNotice<T>(title: string, work: () => Promise<T>): Promise<T> {
  const options = { location: vscode.ProgressLocation.Notification, title: `LFP Lens: ${title}` };
  return await vscode.window.withProgress(options, () => work());
}
