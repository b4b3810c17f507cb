/** The server goes on with runs whose jobs have saved and ended, and that the cluster does not start again. */
import { copyFile, cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ListRuns, RunsChanged } from "../../../server/protocol/runs.ts";
import { placeSchemas } from "../../../server/runs/executor-settings.ts";
import { notePaths } from "../../../server/runs/job-notes.ts";
import { jobNameOf } from "../../../server/runs/job-record.ts";
import { submitRun } from "../../../server/runs/jobs.ts";
import { prepareRun, runPaths } from "../../../server/runs/run-folder.ts";
import { runStatus } from "../../../server/runs/run-status.ts";
import { useFakeSlurm } from "../../support/fake-slurm.ts";
import { LspClient, type LspClientOptions } from "../../support/lsp-client.ts";
import { PATIENT, scratchFolder } from "../runs/scratch.ts";

const fake = useFakeSlurm();
const place = { executor: "slurm", settings: placeSchemas.slurm.parse({}) } as const;
const clients: LspClient[] = [];

/** Every job waits once it is submitted. */
beforeEach(async () => {
  await fake.answer(
    "sbatch",
    `for argument; do case $argument in --job-name=*) name=\${argument#*=} ;; esac; done
until mkdir "$FAKE/job-$((++id))" 2>/dev/null; do :; done
echo "$name" > "$FAKE/job-$id/name"
echo "$id"`,
  );
  await fake.answer(
    "squeue",
    `for job in "$FAKE"/job-*; do
  [ -e "$job/name" ] && ! [ -e "$job/over" ] && echo "\${job##*-}|PENDING|Priority|$(cat "$job/name")|/"
done; true`,
  );
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.stop();
});

/** A folder with a run whose job ended as its script says. */
async function endedRun(exit: string) {
  const runsRoot = join(await scratchFolder(), "runs");
  const folder = await prepareRun(runsRoot, "demo", { preset: "quick" });
  const job = await submitRun({ runFolder: folder, argv: ["lfp"] }, place);
  await writeFile(join(fake.folder(), "job-1", "over"), "");
  await writeFile(notePaths(folder, jobNameOf(job) ?? "").exit, exit);
  return { runsRoot, folder };
}

async function open(runsRoot: string, { options, env }: LspClientOptions = {}): Promise<LspClient> {
  const client = await LspClient.start({
    options: { runsRoots: [runsRoot], trusted: true, ...options },
    env: env ?? {},
  });
  clients.push(client);
  return client;
}

const stateIn = async (client: LspClient) => (await client.ask(ListRuns, {})).runs[0]?.state;

test("two windows that see a job saved and ended submit one more, with the user's settings and their own program", async () => {
  const { runsRoot, folder } = await endedRun("75\n");
  await writeFile(join(runsRoot, "..", "executors.json"), '{ "slurm": { "partition": "long" } }');
  const env = { LFP_EXECUTORS: join(runsRoot, "..", "executors.json") };
  const windows = await Promise.all([open(runsRoot, { env }), open(runsRoot, { env })]);
  const states = await Promise.all(windows.map(stateIn));
  for (const state of states) expect(state).toMatchObject({ kind: "waiting" });
  for (const client of windows)
    await client.heard(RunsChanged, ({ changed }) =>
      changed.some(({ state }) => state.kind === "waiting" && /priority|jobs/i.test(state.for)),
    );
  const calls = await fake.calls("sbatch");
  expect(calls).toHaveLength(2);
  expect(calls[1]).toContain("--partition=long");
  const { job } = await runStatus(folder);
  expect(job).toMatchObject({ executor: "slurm", id: "2" });
  expect(await readFile(notePaths(folder, jobNameOf(job) ?? "").script, "utf8")).toMatch(/cli\.ts' 'run' '.*' '--out'/);
});

test("each run goes on whose job was a task of one array", async () => {
  const { runsRoot, folder } = await endedRun("75\n");
  const other = await prepareRun(runsRoot, "other", { preset: "quick" });
  await copyFile(runPaths(folder).job, runPaths(other).job);
  await cp(runPaths(folder).jobs, runPaths(other).jobs, { recursive: true });
  const client = await open(runsRoot);
  await stateIn(client);
  await expect.poll(() => fake.calls("sbatch"), PATIENT).toHaveLength(3);
});

test("a job that could not be submitted is told with the run, and not tried again and again", async () => {
  const { runsRoot } = await endedRun("75\n");
  await fake.answer("sbatch", "echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2; exit 1");
  const client = await open(runsRoot);
  await stateIn(client);
  const expected = { kind: "interrupted", why: expect.stringMatching(/^its job was not submitted: .*QOSMaxSubmit/) };
  await expect.poll(() => stateIn(client), PATIENT).toMatchObject(expected);
  await stateIn(client);
  expect(await fake.calls("sbatch")).toHaveLength(2);
});

test.each<[string, string, (root: string) => LspClientOptions]>([
  ["ended because somebody stopped it", "75 stopped\n", () => ({})],
  ["was started too often without a new checkpoint", "75 stalled\n", () => ({})],
  [
    "is of another user's, whose run folder this is",
    "75\n",
    (root) => ({ env: { LFP_STATE_DIR: join(root, "other") } }),
  ],
  ["is of a workspace that is not trusted", "75\n", () => ({ options: { trusted: false } })],
])("a job that %s is left alone", async (_, exit, optionsIn) => {
  const { runsRoot } = await endedRun(exit);
  const client = await open(runsRoot, optionsIn(join(runsRoot, "..")));
  expect(await stateIn(client)).toMatchObject({ kind: "interrupted" });
  await stateIn(client);
  expect(await fake.calls("sbatch")).toHaveLength(1);
});
