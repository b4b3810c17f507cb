import { InternalError, LfpError } from "../../common/errors.ts";
import type { EditorSettings, ExplainBy } from "../../pipeline/finished/explain-run.ts";
import { type Complete, type Completed, type EditorModel, editorModelName } from "../../protocol/complete.ts";
import { ExplainFeatures, PreviewExplain } from "../../protocol/features.ts";
import { JobProgress } from "../../protocol/job-progress.ts";
import type { ParamsOf } from "../../protocol/message.ts";
import { runPaths } from "../../runs/run-folder.ts";
import type { Dispatcher } from "../dispatch.ts";
import type { Session } from "../session.ts";
import { trustedRun } from "./feature-requests.ts";
import type { FeatureStores } from "./feature-stores.ts";

/** A job that costs money was requested without a cap that the server can enforce. */
export class NoCapError extends LfpError {
  readonly code = "usage";

  constructor() {
    super(
      "A service is not asked without a cap in dollars and the model's prices, by which the cap is kept. Give both.",
    );
  }
}

/** A request names two language models. */
export class TwoExplainersError extends LfpError {
  readonly code = "usage";

  constructor() {
    super("An endpoint and a model of the editor were both given; one of them explains.");
  }
}

export interface FeatureJobsOptions {
  readonly session: Session;
  readonly stores: FeatureStores;
  readonly tell: (type: typeof JobProgress, params: ParamsOf<typeof JobProgress>) => void;
}

export interface ExplainJobsOptions extends FeatureJobsOptions {
  /** Asks the editor for a completion by the model that a job was started with. */
  readonly complete: (params: ParamsOf<typeof Complete>, signal: AbortSignal | undefined) => Promise<Completed>;
}

type EndpointSettings = Extract<ExplainBy, { readonly kind: "endpoint" }>["endpoint"];
type Service = NonNullable<ParamsOf<typeof PreviewExplain>["endpoint"]>;

/**
 * Serves jobs that take long or cost money: previews, then the work with its progress. Sends nothing anywhere without a
 * request.
 */
export function serveFeatureJobs(
  dispatcher: Dispatcher,
  { session, stores, tell, complete }: ExplainJobsOptions,
): void {
  const settingsOf = async (runFolder: string, ids: readonly string[] | null) => {
    const folder = await trustedRun(session, runFolder);
    const { loadExperiment } = await import("../../pipeline/experiment/resolve.ts");
    const experiment = await loadExperiment(runPaths(folder).experiment);
    return { folder, experiment, ids, perLayer: FEATURES_A_LAYER, again: false };
  };

  dispatcher.request(PreviewExplain, async ({ runFolder, ids, endpoint, editorModel }) => {
    const { folder, ...settings } = await settingsOf(runFolder, ids);
    const { previewExplain } = await import("../../pipeline/finished/explain-run.ts");
    const by = explainBy(endpoint === null ? null : endpointOf(endpoint, "", null), editorModel, neverAsked);
    return stores.use(folder, (store) => previewExplain({ ...settings, store, by }));
  });

  dispatcher.request(ExplainFeatures, async ({ runFolder, ids, endpoint, editorModel, capUsd, job }, { signal }) => {
    if (endpoint !== null && (capUsd === null || endpoint.prices === null)) throw new NoCapError();
    const { folder, ...settings } = await settingsOf(runFolder, ids);
    const { explainRun } = await import("../../pipeline/finished/explain-run.ts");
    const by = explainBy(
      endpoint === null ? null : endpointOf(endpoint, endpoint.apiKey, capUsd),
      editorModel,
      (messages, stop) => complete({ job, messages: [...messages] }, stop),
    );
    const onProgress = (done: number, total: number): void =>
      tell(JobProgress, { job, done, total, message: progressInWords(done, total) });
    const { explained, failed, stoppedAtCap, spentUsd } = await stores.use(folder, (store) =>
      explainRun({ ...settings, store, by }, { signal, onProgress }),
    );
    const missing = [...failed, ...explained.flatMap(({ lost }) => lost)];
    const reasons = [...new Set(missing.map(({ reason }) => reason))].slice(0, 3);
    return { explained: explained.length, failed: failed.length, reasons, stoppedAtCap, spentUsd };
  });
}

/** Every feature counts twice: once explained, once scored. */
function progressInWords(done: number, total: number): string {
  const features = total / 2;
  const isScoring = done > features;
  return `${isScoring ? done - features : done} of ${features} ${features === 1 ? "feature" : "features"} ${isScoring ? "scored" : "explained"}`;
}

/** The default of `lfp explain`. */
const FEATURES_A_LAYER = 30;

function explainBy(
  endpoint: EndpointSettings | null,
  model: EditorModel | null,
  complete: EditorSettings["complete"],
): ExplainBy {
  if (endpoint !== null && model !== null) throw new TwoExplainersError();
  if (endpoint !== null) return { kind: "endpoint", endpoint };
  return model === null ? { kind: "offline" } : { kind: "editor", editor: { name: editorModelName(model), complete } };
}

/** For previews, which send nothing. */
const neverAsked: EditorSettings["complete"] = () => Promise.reject(new InternalError("a preview asked a model"));

function endpointOf({ baseUrl, model, prices }: Service, apiKey: string, maxUsd: number | null): EndpointSettings {
  return { baseUrl, model, apiKey, prices, maxUsd, maxTokens: null };
}
