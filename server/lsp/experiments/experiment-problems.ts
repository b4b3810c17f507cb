import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Diagnostic, DiagnosticSeverity } from "vscode-languageserver/node";
import type { PlacedIssue } from "../../pipeline/experiment/file-issues.ts";
import { experimentSource, isExperimentFile, isSweepFile, type ProblemCode } from "../../protocol/problems.ts";
import type { Dispatcher } from "../dispatch.ts";
import type { Documents, Snapshot } from "../documents.ts";
import { RequestCancelledError } from "../failures.ts";
import type { Session } from "../session.ts";

export interface ExperimentProblemsOptions {
  readonly session: Session;
  readonly documents: Documents;
  readonly publish: (uri: string, version: number | undefined, diagnostics: Diagnostic[]) => void;
}

/**
 * Publishes faults of open experiment and sweep files that their JSON Schema cannot express, after every change and a pause.
 * Broken rules between fields are errors; missing models and data are warnings, which disappear once these exist.
 * Without workspace trust it looks up no path of the file.
 */
export class ExperimentProblems {
  readonly #options: ExperimentProblemsOptions;
  readonly #dispatcher: Dispatcher;
  readonly #checks = new Map<string, AbortController>();

  constructor(dispatcher: Dispatcher, options: ExperimentProblemsOptions) {
    this.#dispatcher = dispatcher;
    this.#options = options;
    options.documents.listen((uri, snapshot) => {
      if (snapshot === undefined) this.#forget(uri);
      else if (isExperiment(snapshot)) this.#check(uri);
    });
    options.session.listen(() => {
      for (const uri of this.#checks.keys()) this.#check(uri);
    });
  }

  #forget(uri: string): void {
    this.#checks.get(uri)?.abort(new RequestCancelledError());
    if (this.#checks.delete(uri)) this.#options.publish(uri, undefined, []);
  }

  #check(uri: string): void {
    this.#checks.get(uri)?.abort(new RequestCancelledError());
    const check = new AbortController();
    this.#checks.set(uri, check);
    this.#dispatcher.guard(`problems of ${uri.slice(-100)}`, () => this.#work(uri, check.signal));
  }

  /** Checks a file, and repeats the check while something is missing, which may appear without an edit of the file. */
  async #work(uri: string, signal: AbortSignal): Promise<void> {
    let [pauseMs, published] = [PAUSE_MS, ""];
    for (;;) {
      await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      const snapshot = this.#options.documents.find(uri);
      if (signal.aborted || snapshot === undefined) return;
      const { wrong, missing } = await this.#look(snapshot, signal);
      if (signal.aborted) return;
      const diagnostics = [
        ...wrong.map((issue) => diagnosticOf(snapshot, issue, DiagnosticSeverity.Error)),
        ...missing.map((issue) => diagnosticOf(snapshot, issue, DiagnosticSeverity.Warning)),
      ];
      const now = JSON.stringify(diagnostics);
      if (now !== published) this.#options.publish(uri, snapshot.version, diagnostics);
      if (missing.length === 0) return;
      [pauseMs, published] = [LOOK_AGAIN_MS, now];
    }
  }

  async #look(
    { uri, text }: Snapshot,
    signal: AbortSignal,
  ): Promise<Readonly<Record<"wrong" | "missing", readonly PlacedIssue[]>>> {
    if (text.length > MAX_UNITS) return { wrong: [], missing: [] };
    const folder = folderOf(uri);
    if (isSweepFile(uri)) return { wrong: await this.#lookAtSweep(text, folder, signal), missing: [] };
    // Loaded lazily: both modules are larger than the rest of the server's start, and most people edit no experiment
    // file.
    const { checkExperimentText, placed } = await import("../../pipeline/experiment/file-issues.ts");
    const { issues, experiment } = await checkExperimentText(text, { folder, signal });
    const isLookedUp = experiment !== undefined && folder !== undefined && this.#options.session.options.trusted;
    if (!isLookedUp) return { wrong: issues, missing: [] };
    const file = Object(JSON.parse(text));
    const { missingInputs } = await import("../../pipeline/experiment/inputs.ts");
    const missing = await missingInputs(experiment);
    return { wrong: issues, missing: await placed(text, file, missing, signal) };
  }

  /** A sweep names the file of its base experiment, which only a trusted workspace has read. */
  async #lookAtSweep(text: string, folder: string | undefined, signal: AbortSignal): Promise<readonly PlacedIssue[]> {
    if (folder === undefined || !this.#options.session.options.trusted) return [];
    const { checkSweepText } = await import("../../pipeline/sweep/file-issues.ts");
    return await checkSweepText(text, { folder, signal });
  }
}

const PAUSE_MS = 150;
const LOOK_AGAIN_MS = 3000;
/** Maximum length of a checked file, in UTF-16 units; no real experiment file is longer. */
const MAX_UNITS = 1_000_000;

/**
 * Whether the document is an experiment or sweep file in a language that the editor checks by its schema. Any other is read as a
 * text.
 */
function isExperiment({ uri, languageId }: Snapshot): boolean {
  return (isExperimentFile(uri) || isSweepFile(uri)) && (languageId === "json" || languageId === "jsonc");
}

/** The document's folder; undefined if it is no file on this machine. */
function folderOf(uri: string): string | undefined {
  try {
    return dirname(fileURLToPath(uri));
  } catch {
    return undefined;
  }
}

function diagnosticOf(
  { lines }: Snapshot,
  { start, end, path, message }: PlacedIssue,
  severity: DiagnosticSeverity,
): Diagnostic {
  const code: ProblemCode = "experiment";
  return {
    range: { start: lines.positionAt(start), end: lines.positionAt(end) },
    severity,
    source: experimentSource,
    code,
    message: path === "" ? message : `${path}: ${message}`,
  };
}
