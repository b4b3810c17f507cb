import { readRunReport } from "../pipeline/finished/run-report.ts";
import { Ask } from "../protocol/questions.ts";
import type { Sources } from "../questions/sources.ts";
import type { Dispatcher } from "./dispatch.ts";
import type { FeatureStores } from "./features/feature-stores.ts";
import type { LensSession } from "./lens/lens-session.ts";
import type { Quarantine } from "./quarantine.ts";
import type { Session } from "./session.ts";

export interface QuestionsOptions {
  readonly session: Session;
  readonly stores: FeatureStores;
  readonly lenses: LensSession;
  readonly quarantine: Quarantine;
}

/** Serves the questions of language models in the editor. In Restricted Mode they are about the bundled run only. */
export function serveQuestions(
  dispatcher: Dispatcher,
  { session, stores, lenses, quarantine }: QuestionsOptions,
): void {
  dispatcher.request(Ask, async ({ question, input }, { signal }) => {
    const sources: Sources = {
      roots: session.options.trusted ? session.runsRoots : [],
      preferred: lenses.folder,
      borrowLens: (folder, stop) => lenses.borrow(folder, stop),
      guard: (parts, work) => quarantine.guard("This text", parts, work),
      useStore: (folder, work) => stores.use(folder, work),
      readReport: (folder) => readRunReport(folder),
    };
    const { ask } = await import("../questions/ask.ts");
    return { answer: await ask(question, input, sources, signal) };
  });
}
