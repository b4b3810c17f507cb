/** Explanations by a language model that only the editor reaches: the server asks the editor for completions. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Complete, type Completed } from "../../../server/protocol/complete.ts";
import { ExplainFeatures, PreviewExplain } from "../../../server/protocol/features.ts";
import { JobProgress } from "../../../server/protocol/job-progress.ts";
import { FeatureStore } from "../../../server/store/store.ts";
import { writeSyntheticStore } from "../../../server/store/synthetic.ts";
import { nameBy, type SeenChat, sensibleAnswer } from "../../support/fake-openai.ts";
import { LspClient } from "../../support/lsp-client.ts";
import { scratchFolder } from "../runs/scratch.ts";

const editorModel = { vendor: "made", id: "model-1" };
let run: string;
let client: LspClient;
beforeEach(async () => {
  const root = await scratchFolder();
  run = join(root, "runs", "made-up");
  await mkdir(run, { recursive: true });
  await writeFile(join(run, "experiment.json"), JSON.stringify({ preset: "quick", name: "made-up" }));
  const made = join(root, "made.sqlite");
  writeSyntheticStore(made, { layers: 1, features: 12 });
  const store = FeatureStore.open(join(run, "features.sqlite"), { create: true });
  store.refill({ path: made, key: "k" });
  store.close();
  client = await LspClient.start({
    options: { runsRoots: [join(root, "runs")], trusted: true },
    env: { LFP_STATE_DIR: join(root, "state") },
  });
});
afterEach(() => client.stop());

const ask = (ids: string[], job = "j", more: object = {}) =>
  client.ask(ExplainFeatures, { runFolder: run, ids, endpoint: null, editorModel, capUsd: null, job, ...more });

test("the editor is asked within the job, and the explanations are kept under the model's name", async () => {
  const jobs = new Set<string>();
  client.connection.onRequest<Completed, unknown>(Complete.method, (params): Completed => {
    const { job, messages } = Complete.params.parse(params);
    jobs.add(job);
    const content = messages[0]?.content.split("\n\n").at(-1) ?? "";
    const body = {
      model: "m",
      messages: [
        { role: "system", content: "" },
        { role: "user", content },
      ],
    };
    return { kind: "answer", text: sensibleAnswer({ body, name: nameBy(body) } as unknown as SeenChat) };
  });
  const preview = await client.ask(PreviewExplain, { runFolder: run, ids: ["L0/F3"], endpoint: null, editorModel });
  expect(preview).toMatchObject({ features: 1, cached: 0, costUsd: null, origin: null });
  expect(preview.requests).toBeGreaterThan(0);
  expect(jobs.size).toBe(0);
  expect(await ask(["L0/F3"], "job 7")).toMatchObject({ explained: 1, failed: 0, spentUsd: null });
  expect([...jobs]).toEqual(["job 7"]);
  await client.heard(JobProgress, ({ message }) => message === "1 of 1 feature explained");
  const last = await client.heard(JobProgress, ({ done, total }) => done === total);
  expect(last).toMatchObject({ job: "job 7", message: "1 of 1 feature scored" });
  using store = FeatureStore.openOutput(join(run, "features.sqlite"));
  expect(store.need("L0/F3").explanations).toContainEqual(
    expect.objectContaining({ explainer: "made/model-1", text: 'the word "great"' }),
  );
  const again = await client.ask(PreviewExplain, { runFolder: run, ids: ["L0/F3"], endpoint: null, editorModel });
  expect(again).toMatchObject({ features: 0, cached: 1 });
});

test("a declined consent is told, and nothing is kept", async () => {
  client.connection.onRequest<Completed, unknown>(
    Complete.method,
    (): Completed => ({ kind: "refused", reason: "you declined", isFinal: true }),
  );
  await expect(ask(["L0/F3"])).rejects.toThrow("made/model-1 gives no answers: you declined");
});

test("cancelling the job cancels the question", async () => {
  const { promise: asked, resolve: begin } = Promise.withResolvers<void>();
  const { promise: cancelled, resolve: end } = Promise.withResolvers<void>();
  client.connection.onRequest<Completed, unknown>(Complete.method, (_params, token) => {
    begin();
    token.onCancellationRequested(() => end());
    return new Promise<Completed>(() => undefined);
  });
  const { CancellationTokenSource } = await import("vscode-languageserver/node");
  const source = new CancellationTokenSource();
  const params = { runFolder: run, ids: ["L0/F3"], endpoint: null, editorModel, capUsd: null, job: "j" };
  const job = client.connection.sendRequest(ExplainFeatures.method, params, source.token);
  await asked;
  source.cancel();
  await expect(job).rejects.toThrow("cancelled");
  await cancelled;
});

test("a service and a model of the editor are not taken together", async () => {
  const endpoint = { baseUrl: "http://127.0.0.1:9/v1", model: "m", prices: { inputUsd: 1, outputUsd: 1 }, apiKey: "" };
  await expect(ask(["L0/F3"], "j", { endpoint, capUsd: 1 })).rejects.toThrow("one of them explains");
});
