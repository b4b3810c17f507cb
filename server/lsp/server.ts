import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import {
  CancellationTokenSource,
  CodeActionKind,
  type Connection,
  createConnection,
  type Diagnostic,
  StreamMessageWriter,
  TextDocumentSyncKind,
} from "vscode-languageserver/node";
import { z } from "zod";
import { packageVersion } from "../common/package-root.ts";
import { stateFolder } from "../common/state-folder.ts";
import { message } from "../common/untrusted-text.ts";
import type { FeatureId } from "../protocol/ablation.ts";
import { Complete } from "../protocol/complete.ts";
import {
  ChooseRun,
  CompareLearned,
  ComparePair,
  ConfigurationChanged,
  InitializationOptions,
  type LensState,
  LensStateChanged,
} from "../protocol/lens-state.ts";
import type { NotificationType, ParamsOf, RequestType } from "../protocol/message.ts";
import { PairsRead } from "../protocol/pairs.ts";
import { RunsChanged, type SweepView } from "../protocol/runs.ts";
import { Dispatcher, type ServerLog } from "./dispatch.ts";
import { Documents } from "./documents.ts";
import { ExperimentProblems } from "./experiments/experiment-problems.ts";
import { responseErrorOf } from "./failures.ts";
import { FeatureHovers } from "./features/feature-hovers.ts";
import { type FeatureJobsOptions, serveFeatureJobs } from "./features/feature-jobs.ts";
import { serveFeatures } from "./features/feature-requests.ts";
import { FeatureStores } from "./features/feature-stores.ts";
import { serveMeasureAblation } from "./features/measure-ablation.ts";
import { serveCodeActions } from "./lens/code-actions.ts";
import { serveHover } from "./lens/hover.ts";
import { serveInspectPair } from "./lens/inspect-pair.ts";
import { LensSession } from "./lens/lens-session.ts";
import { servePairs } from "./lens/pair-requests.ts";
import { PairVerdicts } from "./lens/pair-verdicts.ts";
import { PassageReader } from "./lens/passage-reader.ts";
import { Problems } from "./lens/problems.ts";
import { serveReadings } from "./lens/reading-requests.ts";
import { TokenDetails } from "./lens/token-detail.ts";
import { MAX_MESSAGE_BYTES } from "./limits.ts";
import { BoundedMessageReader, type SkippedMessage } from "./message-reader.ts";
import { Quarantine } from "./quarantine.ts";
import { serveQuestions } from "./questions.ts";
import { serveExports } from "./runs/export-requests.ts";
import { GoingOn } from "./runs/go-on.ts";
import { RunBoard } from "./runs/run-board.ts";
import { serveRuns } from "./runs/run-requests.ts";
import { Session } from "./session.ts";

export interface ServerOptions {
  readonly input: Readable;
  readonly output: Writable;
  /** Called when the editor has disconnected or requested the end, and all computation has stopped. */
  readonly onEnd: (status: number) => void;
  /** Called if a computation does not stop in time: an ordinary exit would then crash the process. */
  readonly onStuck: () => void;
}

export interface RunningServer {
  /** Shuts down in order: stops work in progress, then calls `onEnd` with the status. */
  end(status: number): void;
}

/** Serves an editor over two streams until it disconnects. */
export function startServer({ input, output, onEnd, onStuck }: ServerOptions): RunningServer {
  const writer = new StreamMessageWriter(output);
  const malformed = limited((line: string) => log.error(line));
  const reader = new BoundedMessageReader(input, {
    onSkipped: (message) => refuse(message),
    onMalformed: (reason) => malformed(`Received what is no message: ${reason}`),
  });
  const connection = createConnection(reader, writer);
  const log = logOf(connection);
  const dispatcher = new Dispatcher(connection, log);
  const session = new Session();
  const documents = new Documents();
  const onFailure = (error: unknown): void => dispatcher.guard("background", () => Promise.reject(error));
  const goingOn = new GoingOn(session, onFailure);
  const board = new RunBoard(onFailure, (folder, job) => goingOn.goesOn(folder, job));

  const refuse = ({ bytes, id, method, uri }: SkippedMessage): void => {
    const message = `A message of ${bytes} bytes was not read; LFP Lens takes up to ${MAX_MESSAGE_BYTES}.`;
    log.error(`${method ?? "unknown method"}: ${message}`);
    if (id !== undefined) {
      const error = responseErrorOf({ code: "resource", message }).toJson();
      dispatcher.guard("refusal", () =>
        writer.write({ jsonrpc: "2.0", id, error } as Parameters<typeof writer.write>[0]),
      );
    } else if (uri !== undefined && method?.startsWith("textDocument/did") === true) {
      documents.refuse(uri, message);
    }
  };

  const quarantine = new Quarantine(join(stateFolder(), "quarantine"));
  let isEnding = false;
  const end = (status: number): void => {
    if (isEnding) return;
    isEnding = true;
    quarantine.close();
    const exit = (): void => onEnd(status);
    setTimeout(onStuck, END_WAIT_MS).unref();
    Promise.allSettled([dispatcher.close(), lenses.close()]).then(exit, exit);
  };
  serveLifecycle(connection, dispatcher, session, end);
  documents.serve(dispatcher, (_uri, reason) => log.error(reason));
  serveRuns(dispatcher, { session, board, onFailure });
  serveExports(dispatcher, session);
  tellRuns(connection, board);
  session.listen(() => dispatcher.guard("runs", () => board.watch(session.runsRoots)));
  const lenses = serveLens(connection, dispatcher, { session, board, documents, quarantine, onFailure });
  reader.onClose(() => end(0));
  connection.listen();
  return { end };
}

/** Tells the editor of changes of runs, and of the sweeps when they have changed. */
function tellRuns(connection: Connection, board: RunBoard): void {
  let told: readonly SweepView[] = [];
  board.listen((changed, gone) => {
    const { sweeps, misnamed } = board;
    tell(connection, RunsChanged, { changed, gone, misnamed, sweeps: sweeps === told ? null : [...sweeps] });
    told = sweeps;
  });
}

interface LensParts {
  readonly session: Session;
  readonly board: RunBoard;
  readonly documents: Documents;
  readonly quarantine: Quarantine;
  readonly onFailure: (error: unknown) => void;
}

/** Serves everything that reads through the lens. */
function serveLens(connection: Connection, dispatcher: Dispatcher, parts: LensParts): LensSession {
  const { session, board, documents, quarantine, onFailure } = parts;
  const lenses = new LensSession({ session, board, quarantine, onFailure, tell: (state) => changed(state) });
  const stores = new FeatureStores(onFailure);
  const reader = new PassageReader(lenses, quarantine, () => session.settings.csvColumns);
  const details = new TokenDetails(reader, (folder, ids) => stores.words(folder, ids));
  const publish = (uri: string, version: number | undefined, diagnostics: Diagnostic[]): void => {
    const known = version === undefined ? {} : { version };
    connection.sendDiagnostics({ uri, ...known, diagnostics }).catch(() => undefined);
  };
  const verdicts = new PairVerdicts(reader);
  const tellPairs = (read: ParamsOf<typeof PairsRead>): void => tell(connection, PairsRead, read);
  const problems = new Problems(dispatcher, { session, documents, lenses, reader, verdicts, tellPairs, publish });
  new ExperimentProblems(dispatcher, { session, documents, publish });
  const changed = (state: LensState): void => {
    tell(connection, LensStateChanged, state);
    if (state.kind === "ready") problems.again();
    else problems.forget();
  };
  const features = new FeatureHovers(stores, { folder: () => lenses.folder });
  dispatcher.request(ChooseRun, ({ runFolder }) => lenses.choose(runFolder));
  dispatcher.request(ComparePair, ({ open, ...pair }, { signal }) => lenses.compare(pair, open, signal));
  dispatcher.request(CompareLearned, ({ open, ...runs }, { signal }) => lenses.compareRuns(runs, open, signal));
  const largestActivation = (folder: string, id: FeatureId) => stores.largestActivation(folder, id);
  const tellJob: FeatureJobsOptions["tell"] = (type, params) => tell(connection, type, params);
  serveReadings(dispatcher, {
    documents,
    reader,
    details,
    verdicts,
    lenses,
    quarantine,
    largestActivation,
    tell: tellJob,
  });
  servePairs(dispatcher, { documents, reader, verdicts });
  serveHover(dispatcher, { session, documents, reader, details, problems, verdicts, features });
  serveCodeActions(dispatcher, { session, documents, reader, details, problems });
  serveInspectPair(dispatcher, { lenses, quarantine });
  serveFeatures(dispatcher, { session, stores, lenses, quarantine });
  serveQuestions(dispatcher, { session, stores, lenses, quarantine });
  const jobs = { session, stores, tell: tellJob } satisfies FeatureJobsOptions;
  serveFeatureJobs(dispatcher, {
    ...jobs,
    complete: (params, signal) => askEditor(connection, Complete, params, signal),
  });
  serveMeasureAblation(dispatcher, { ...jobs, lenses });
  return lenses;
}

/** Sends the editor a notification. */
export function tell<P extends z.ZodType>(
  connection: Connection,
  { method }: NotificationType<P>,
  params: z.output<P>,
): void {
  // Fails only if the editor has disconnected.
  connection.sendNotification(method, params).catch(() => undefined);
}

/** Asks the editor. Rejects with the signal's reason when it is aborted. */
async function askEditor<P extends z.ZodType, R extends z.ZodType>(
  connection: Connection,
  { method, result }: RequestType<P, R>,
  params: z.output<P>,
  signal: AbortSignal | undefined,
): Promise<z.output<R>> {
  signal?.throwIfAborted();
  const source = new CancellationTokenSource();
  const cancel = (): void => source.cancel();
  signal?.addEventListener("abort", cancel, { once: true });
  try {
    return result.parse(await connection.sendRequest<unknown>(method, params, source.token));
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    signal?.removeEventListener("abort", cancel);
    source.dispose();
  }
}

function serveLifecycle(
  connection: Connection,
  dispatcher: Dispatcher,
  session: Session,
  onEnd: (status: number) => void,
): void {
  let isShutDown = false;
  connection.onInitialize((params) => {
    session.configure(
      InitializationOptions.safeParse(params.initializationOptions ?? {}).data ?? InitializationOptions.parse({}),
    );
    return {
      serverInfo: { name: "LFP Lens", version: packageVersion() },
      capabilities: {
        positionEncoding: "utf-16",
        hoverProvider: true,
        codeActionProvider: { codeActionKinds: [CodeActionKind.QuickFix] },
        textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental, save: false },
      },
    };
  });
  connection.onShutdown(() => {
    isShutDown = true;
  });
  connection.onExit(() => onEnd(isShutDown ? 0 : 1));
  dispatcher.notification(ConfigurationChanged, (options) => session.configure(options));
  dispatcher.standardNotification("initialized", z.unknown(), () => undefined);
}

/** A log whose lines the editor shows in the server's output channel. */
function logOf(connection: Connection): ServerLog {
  return {
    info: (line) => unlessClosed(() => connection.console.info(message(line))),
    error: (line) => unlessClosed(() => connection.console.error(message(line))),
  };
}

/** Ignores writes after the editor has disconnected. */
function unlessClosed(write: () => void): void {
  try {
    write();
  } catch {
    // The library throws only for a connection that is closed.
  }
}

/** Limits the number of lines per minute, so that a broken client does not flood the log. */
function limited(write: (line: string) => void): (line: string) => void {
  let [windowStartMs, count] = [0, 0];
  return (line) => {
    const now = performance.now();
    if (now - windowStartMs > 60_000) [windowStartMs, count] = [now, 0];
    count += 1;
    if (count <= MALFORMED_LINES)
      write(count === MALFORMED_LINES ? `${line} (further ones are not told for a minute)` : line);
  };
}

const MALFORMED_LINES = 20;
/** Time to stop computations at the end. Editors kill a server after about two seconds. */
const END_WAIT_MS = 1500;
