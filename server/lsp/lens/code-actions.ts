import { type CodeAction, CodeActionKind, type Diagnostic } from "vscode-languageserver/node";
import type { z } from "zod";
import {
  ablateFeature,
  type EditorCommand,
  ignoreWord,
  listPairs,
  showPairWords,
  showTokenFeatures,
} from "../../protocol/commands.ts";
import { MAX_WORD_UNITS, PairProblemData, type ProblemCode, ProblemData } from "../../protocol/problems.ts";
import type { Dispatcher } from "../dispatch.ts";
import type { Documents, Snapshot } from "../documents.ts";
import type { Session } from "../session.ts";
import { CodeActionParams } from "../standard-params.ts";
import { oneLine } from "../text/markdown.ts";
import { isLogRatio } from "./judging.ts";
import type { PassageReader } from "./passage-reader.ts";
import { disagreementCode } from "./problem-finder.ts";
import { judgeOf, type Problems } from "./problems.ts";
import type { TokenDetails } from "./token-detail.ts";

export interface CodeActionOptions {
  readonly session: Session;
  readonly documents: Documents;
  readonly reader: PassageReader;
  readonly details: TokenDetails;
  readonly problems: Problems;
}

/** Serves the quick fixes of problems, each of which is an editor command. */
export function serveCodeActions(dispatcher: Dispatcher, { documents, ...options }: CodeActionOptions): void {
  dispatcher.standardRequest(
    "textDocument/codeAction",
    CodeActionParams,
    async ({ textDocument, context }, { signal }) => {
      const snapshot = documents.find(textDocument.uri);
      if (snapshot === undefined) return [];
      const actions = context.diagnostics
        .filter(({ code }) => code === pairCode)
        .slice(0, MOST_PROBLEMS)
        .flatMap((given) => pairActions(snapshot, given.data, given as Diagnostic));
      for (const given of context.diagnostics.filter(({ code }) => code === disagreementCode).slice(0, MOST_PROBLEMS)) {
        const data = ProblemData.safeParse(given.data).data;
        if (data === undefined || !stillThere(snapshot, data)) continue;
        const strongest = await strongestFeature(snapshot, data, signal, options);
        // Returns the diagnostic as the editor sent it, which is how the editor matches it.
        actions.push(...actionsFor(snapshot.uri, data, strongest, given as Diagnostic));
      }
      return actions;
    },
  );
}

const MOST_PROBLEMS = 10;
const pairCode: ProblemCode = "pair-disagreement";

/** The quick fixes of a pair that was learned the other way. */
function pairActions(snapshot: Snapshot, given: unknown, diagnostic: Diagnostic): CodeAction[] {
  const data = PairProblemData.safeParse(given).data;
  if (data === undefined || !stillThere(snapshot, data)) return [];
  const { uri } = snapshot;
  const { start, end, passage, label } = data;
  return [
    fixOf(diagnostic, "Show the words behind the margin", showPairWords, { uri, start, end }),
    fixOf(diagnostic, "List all pairs that were learned the other way", listPairs, { uri }),
    fixOf(diagnostic, "Ignore this pair", ignoreWord, { uri, word: label, passage }),
  ];
}

function fixOf<A extends z.ZodType>(
  diagnostic: Diagnostic,
  title: string,
  { id, argument }: EditorCommand<A>,
  given: z.input<A>,
): CodeAction {
  return {
    title,
    kind: CodeActionKind.QuickFix,
    diagnostics: [diagnostic],
    command: { title, command: id, arguments: [argument.parse(given)] },
  };
}

interface FoundFeature {
  readonly runFolder: string;
  readonly id: string;
}

function actionsFor(
  uri: string,
  { start, end, word, passage }: ProblemData,
  strongest: FoundFeature | undefined,
  diagnostic: Diagnostic,
): CodeAction[] {
  const shown = `“${oneLine(word.trim(), 40)}”`;
  const fix = <A extends z.ZodType>(title: string, command: EditorCommand<A>, argument: z.input<A>): CodeAction =>
    fixOf(diagnostic, title, command, argument);
  return [
    fix(`Show the features behind ${shown}`, showTokenFeatures, { uri, start, end }),
    ...(strongest === undefined
      ? []
      : [fix(`Ablate ${strongest.id}, the feature that pulls most`, ablateFeature, strongest)]),
    fix(`Ignore ${shown} in this passage`, ignoreWord, { uri, word, passage }),
    fix(`Ignore ${shown} in this document`, ignoreWord, { uri, word, passage: null }),
  ];
}

/** Whether the word is still at its place; an edit after the last check may have moved it. */
function stillThere({ text }: Snapshot, { start, end, word }: ProblemData): boolean {
  return text.slice(start, end) === word || (text.length > end && word.length >= MAX_WORD_UNITS);
}

/**
 * The feature that contributes most against the rating's sign; undefined if the lens is not open or the reading has no
 * parts.
 */
async function strongestFeature(
  snapshot: Snapshot,
  { start }: ProblemData,
  signal: AbortSignal,
  { session, reader, details, problems }: Omit<CodeActionOptions, "documents">,
): Promise<FoundFeature | undefined> {
  const reading = reader.beginIfOpen(snapshot, signal);
  if (reading?.kind !== "run") return undefined;
  const ablation = problems.ablationOn(reading);
  const isFitted = isLogRatio(judgeOf(reading, session.settings.reading, ablation).mode);
  const found = await details.parts(reading, { offset: start, ablation, isFitted, features: 20 });
  if (found === undefined) return undefined;
  const { contributions, trueReward } = found;
  const pulls = contributions.find(({ contribution }) => Math.sign(contribution) === -Math.sign(trueReward ?? 0));
  return pulls === undefined ? undefined : { runFolder: reading.lens.info.runFolder, id: pulls.id };
}
