import { mkdir, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { everyNth, fakePlan, smallPlan, train, walk } from "../../test/unit/runs/fake-stages.ts";
import { lastingFiles } from "../../test/unit/runs/lasting-files.ts";
import { PATIENT, scratchFolder } from "../../test/unit/runs/scratch.ts";
import type { RunEvent } from "../protocol/run-events.ts";
import { requestCancel } from "./cancel.ts";
import { thisProcess } from "./process-identity.ts";
import { type RunOptions, runPipeline } from "./run.ts";
import { readRecord, runPaths } from "./run-folder.ts";
import { LockedError } from "./run-lock.ts";
import { checkpointDue } from "./run-stage.ts";
import { runStatus } from "./run-status.ts";
import { type PlannedStage, planStage, type Stage, type StageContext } from "./stage.ts";
import { outsideInput } from "./stage-key.ts";

async function run(plan: readonly PlannedStage[], folder: string, options: Partial<RunOptions> = {}) {
  const events: RunEvent[] = [];
  const outcome = await runPipeline(plan, folder, {
    seed: 7,
    deviceClass: "cpu",
    queued: false,
    onEvent: (event) => events.push(event),
    ...options,
  });
  return { outcome, events, kinds: events.map(({ kind }) => kind), messages: messagesIn(events) };
}

function messagesIn(events: readonly RunEvent[]): string[] {
  return events.flatMap((event) => (event.kind === "message" ? [event.text] : []));
}

function stagesOf(events: readonly RunEvent[], kind: "stage-reused" | "stage-started" | "stage-resumed"): string[] {
  return events.flatMap((event) => (event.kind === kind ? [event.stage] : []));
}

/** A plan of one stage that does what is given. */
function doing(work: (context: StageContext<{ x: number }, never>) => Promise<void>, publishAs?: string, x = 1) {
  const stage: Stage<{ x: number }, never> = { name: "doing", codeVersion: 1, run: work };
  return [planStage({ id: "only", stage, settings: { x }, inputs: {}, ...(publishAs ? { publishAs } : {}) })];
}

const newFolder = async () => join(await scratchFolder(), "demo");

describe("a run", () => {
  test("takes the stages in the order of their needs, and records each", async () => {
    const folder = await newFolder();
    const { outcome, events } = await run(fakePlan(), folder, { versions: { lfp: "0.1.0" } });
    expect(outcome).toEqual({ kind: "done" });
    expect(stagesOf(events, "stage-started")).toEqual(["base", "first", "tuned", "report"]);
    const record = await readRecord(folder);
    expect(record).toMatchObject({ name: "demo", state: { kind: "done" }, seed: 7, versions: { lfp: "0.1.0" } });
    expect(record?.stages.map(({ status }) => status)).toEqual(["done", "done", "done", "done"]);
    const [base, first] = record?.stages ?? [];
    const manifest = JSON.parse(await readFile(join(folder, first?.output ?? "", "manifest.json"), "utf8"));
    expect(manifest.inputs.base).toEqual({ stage: "fake-initialise", key: base?.key, digest: base?.digest });
    const log = (await readFile(runPaths(folder).log, "utf8")).trimEnd().split("\n");
    expect(log.map((line) => JSON.parse(line).stage)).toEqual([
      "base",
      ...Array(8).fill("first"),
      ...Array(8).fill("tuned"),
      "report",
    ]);
  });

  test("twice with one seed gives the same bytes; another seed gives others", async () => {
    const [one, two, other] = [await newFolder(), await newFolder(), await newFolder()];
    await run(fakePlan(), one);
    await run(fakePlan(), two, { checkpointDue: everyNth(1) });
    await run(fakePlan(), other, { seed: 8 });
    expect(await lastingFiles(two)).toEqual(await lastingFiles(one));
    expect((await lastingFiles(other)).get("tuned/weights.bin")).not.toBe(
      (await lastingFiles(one)).get("tuned/weights.bin"),
    );
  });

  test("draws for a stage with a seed of its own as a run with that seed would, and the other stages keep the run's", async () => {
    const [folder, other] = [await newFolder(), await newFolder()];
    const walking = (id: string, seed?: number): PlannedStage =>
      planStage({
        id,
        stage: walk,
        settings: { steps: 3, rate: 0.1 },
        inputs: {},
        ...(seed === undefined ? {} : { seed }),
      });
    await run([walking("plain"), walking("seven", 7), walking("eight", 8)], folder);
    await run([walking("plain")], other, { seed: 8 });
    const keysOf = async (place: string) => (await readRecord(place))?.stages.map(({ key }) => key) ?? [];
    const [plain, seven, eight] = await keysOf(folder);
    expect(seven).toBe(plain);
    expect([eight]).toEqual(await keysOf(other));
    expect(eight).not.toBe(plain);
    const [, , drawn] = (await readRecord(folder))?.stages ?? [];
    const [asRun] = (await readRecord(other))?.stages ?? [];
    expect(drawn?.digest).toBe(asRun?.digest);
  });

  test("run again takes everything as it is", async () => {
    const folder = await newFolder();
    await run(fakePlan(), folder);
    const before = await lastingFiles(folder);
    const { events } = await run(fakePlan(), folder);
    expect(stagesOf(events, "stage-reused")).toEqual(["base", "first", "tuned", "report"]);
    expect(stagesOf(events, "stage-started")).toEqual([]);
    expect(await lastingFiles(folder)).toEqual(before);
  });

  test("with a changed setting makes again only what depends on it, and goes back without work", async () => {
    const folder = await newFolder();
    await run(fakePlan({ steps: 4 }), folder);
    const before = await readFile(runPaths(folder).log, "utf8");
    const changed = await run(fakePlan({ steps: 6 }), folder);
    expect(stagesOf(changed.events, "stage-reused")).toEqual(["base"]);
    expect((await readFile(runPaths(folder).log, "utf8")).split("\n").length).toBe(before.split("\n").length + 4);
    const back = await run(fakePlan({ steps: 4 }), folder);
    expect(stagesOf(back.events, "stage-started")).toEqual([]);
    expect(await readFile(runPaths(folder).log, "utf8")).toBe(before);
  });

  test("makes a damaged output again, says so, and keeps the damaged one", async () => {
    const folder = await newFolder();
    await run(fakePlan(), folder);
    const before = await lastingFiles(folder);
    const record = await readRecord(folder);
    const output = record?.stages.find(({ id }) => id === "first")?.output ?? "";
    await truncate(join(folder, output, "weights.bin"), 8);
    const { outcome, events, messages } = await run(fakePlan(), folder);
    expect(outcome.kind).toBe("done");
    expect(messages).toEqual([
      expect.stringContaining("The output of stage first is damaged (weights.bin has 8 bytes"),
    ]);
    expect(stagesOf(events, "stage-reused")).toEqual(["base", "tuned", "report"]);
    const kept = [...(await lastingFiles(folder))].filter(([path]) => !path.includes(".damaged/"));
    expect(new Map(kept)).toEqual(before);
    expect(await readdir(join(folder, `${output}.damaged`))).toContain("weights.bin");
  });

  test("takes inputs from outside by their contents", async () => {
    const root = await scratchFolder();
    const path = join(root, "weights.bin");
    await writeFile(path, new Uint8Array(64));
    const plan = async () => [
      planStage({
        id: "tuned",
        stage: train,
        settings: { steps: 2, rate: 1 },
        inputs: { base: { ...(await outsideInput(path)), path: root } },
      }),
    ];
    expect((await run(await plan(), join(root, "demo"))).kinds).toContain("stage-started");
    expect((await run(await plan(), join(root, "demo"))).kinds).not.toContain("stage-started");
    await writeFile(path, new Uint8Array(72));
    expect((await run(await plan(), join(root, "demo"))).kinds).toContain("stage-started");
  });
});

test.each([
  [0, 10_000],
  [500, 25_000],
  [2000, 45_000],
  [8000, 160_000],
  [60_000, 600_000],
])("after a save of %i ms the next checkpoint is due %i ms later", (lastSaveMs, dueMs) => {
  expect(checkpointDue(dueMs - 1, lastSaveMs)).toBe(false);
  expect(checkpointDue(dueMs, lastSaveMs)).toBe(true);
});

describe("publishing", () => {
  const writes = (name: string) => (context: StageContext<{ x: number }, never>) =>
    writeFile(join(context.output, name), `${name} ${context.settings.x}`);

  test("lets files appear for people, follows changes, and clears away what is outdated", async () => {
    const folder = await newFolder();
    await run(doing(writes("a.txt"), "sae/base"), folder);
    expect(await readFile(join(folder, "sae/base/a.txt"), "utf8")).toBe("a.txt 1");
    await run(doing(writes("a.txt"), "sae/base", 2), folder);
    expect(await readFile(join(folder, "sae/base/a.txt"), "utf8")).toBe("a.txt 2");
    await run(doing(writes("b.txt"), ".", 3), folder);
    expect(await readFile(join(folder, "b.txt"), "utf8")).toBe("b.txt 3");
    await expect(stat(join(folder, "sae/base/a.txt"))).rejects.toThrow("ENOENT");
    expect((await readRecord(folder))?.published).toEqual(["b.txt"]);
  });

  test.each([
    ["..", "x"],
    ["a/../..", "x"],
    ["stages", "x"],
    [".", "run.json"],
    [".", "log.jsonl.d/../../x"],
    ["/etc", "x"],
  ])("nothing is published as %s/%s", async (place, name) => {
    const folder = await newFolder();
    const safe = name.includes("..") ? "x" : name;
    const { outcome } = await run(doing(writes(safe), name.includes("..") ? `${place}/${name}` : place), folder);
    expect(outcome).toMatchObject({ kind: "failed", code: "internal" });
  });
});

describe("stopping", () => {
  test("a cancelled run stops at its next step with a checkpoint there, and goes on to the same end", async () => {
    const [uncut, folder] = [await newFolder(), await newFolder()];
    await run(fakePlan(), uncut);
    const controller = new AbortController();
    const stop = (event: RunEvent) => {
      if (event.kind === "progress" && event.stage === "tuned") controller.abort();
    };
    const { outcome } = await run(fakePlan(), folder, { signal: controller.signal, onEvent: stop });
    expect(outcome).toEqual({ kind: "cancelled", stage: "tuned" });
    expect((await runStatus(folder)).state).toEqual(outcome);
    const again = await run(fakePlan(), folder);
    expect(again.outcome).toEqual({ kind: "done" });
    expect(stagesOf(again.events, "stage-resumed")).toEqual(["tuned"]);
    expect(await lastingFiles(folder)).toEqual(await lastingFiles(uncut));
  });

  test("a request in the folder stops the process it names, once; one for another process is not heard", async () => {
    const folder = await newFolder();
    const work = async ({ output, signal, stepDone, settings }: StageContext<{ x: number }, never>) => {
      await requestCancel(folder, { ...(await thisProcess()), pid: settings.x === 1 ? process.pid : 1 });
      for (let i = 0; i < 4 || (settings.x === 1 && !signal.aborted); i++) await stepDone(() => ({ state: i }));
      await stepDone(() => ({ state: 0 }));
      await writeFile(join(output, "x"), "");
    };
    expect((await run(doing(work), folder)).outcome).toEqual({ kind: "cancelled", stage: "only" });
    await expect(stat(runPaths(folder).cancel)).rejects.toThrow("ENOENT");
    expect((await run(doing(work, undefined, 2), folder)).outcome).toEqual({ kind: "done" });
  });

  test("a stage that waits for something long is cut off by its signal", async () => {
    const controller = new AbortController();
    const work = async ({ signal }: StageContext<{ x: number }, never>) => {
      setImmediate(() => controller.abort());
      await delay(600_000, undefined, { signal });
    };
    const { outcome } = await run(doing(work), await newFolder(), { signal: controller.signal });
    expect(outcome).toEqual({ kind: "cancelled", stage: "only" });
  });

  test("a stage that never waits still hears it", async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 1);
    const work = async ({ stepDone }: StageContext<{ x: number }, never>) => {
      for (let i = 0; ; i++) await stepDone(() => ({ state: i }));
    };
    const { outcome } = await run(doing(work), await newFolder(), { signal: controller.signal });
    expect(outcome.kind).toBe("cancelled");
  });

  test("waiting for the machine can be cancelled, and says for whom it waits", async () => {
    const stateFolder = await scratchFolder();
    const options = { queued: true, stateFolder };
    const [first, second] = [await newFolder(), join(await scratchFolder(), "other")];
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const firstRun = run(
      doing(() => held),
      first,
      options,
    );
    await expect.poll(async () => (await runStatus(first)).state.kind, PATIENT).toBe("running");
    const controller = new AbortController();
    const secondRun = run(
      doing(async () => {}),
      second,
      { ...options, signal: controller.signal },
    );
    await expect
      .poll(async () => (await runStatus(second)).state, PATIENT)
      .toMatchObject({
        kind: "waiting",
        for: expect.stringContaining("run demo"),
      });
    controller.abort();
    expect((await secondRun).outcome).toEqual({ kind: "cancelled", stage: "only" });
    release();
    expect((await firstRun).outcome.kind).toBe("done");
    expect(
      (
        await run(
          doing(async () => {}),
          second,
          options,
        )
      ).outcome.kind,
    ).toBe("done");
  });
});

describe("failing", () => {
  test("two runs on one folder: the second is told who holds it, and changes nothing", async () => {
    const folder = await newFolder();
    const tried: unknown[] = [];
    const work = async () => {
      const before = await readFile(runPaths(folder).events, "utf8");
      tried.push(await run(smallPlan(), folder).catch((error: unknown) => error));
      expect(await readFile(runPaths(folder).events, "utf8")).toBe(before);
    };
    expect((await run(doing(work), folder)).outcome.kind).toBe("done");
    expect(tried).toEqual([expect.any(LockedError)]);
    expect(tried[0]).toMatchObject({ code: "locked", message: expect.stringContaining(`process ${process.pid}`) });
  });

  test("a run whose lock was taken over stops at its next step and writes nothing more", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    try {
      const folder = await newFolder();
      const work = async ({ signal, stepDone }: StageContext<{ x: number }, never>) => {
        await mkdir(join(runPaths(folder).lock, "99"));
        vi.advanceTimersByTime(10_000);
        await expect.poll(() => signal.aborted, PATIENT).toBe(true);
        await stepDone(() => expect.unreachable("nothing may be saved"));
      };
      await expect(run(doing(work), folder)).rejects.toMatchObject({ code: "locked", name: "LockLostError" });
      expect((await readRecord(folder))?.state).toEqual({ kind: "running", stage: "only" });
    } finally {
      vi.useRealTimers();
    }
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY])(
    "a metric that is %s stops the run, and its last checkpoint is kept",
    async (bad) => {
      const folder = await newFolder();
      const work = async ({ log, stepDone }: StageContext<{ x: number }, never>) => {
        log({ loss: 1, note: null });
        await stepDone(() => ({ state: { step: 1 } }));
        log({ loss: bad });
      };
      const { outcome } = await run(doing(work), folder, { checkpointDue: () => true });
      expect(outcome).toMatchObject({ kind: "failed", code: "non-finite", stage: "only", resumable: false });
      expect(outcome).toMatchObject({ message: expect.stringContaining(`loss of stage only is ${bad}`) });
      const [name = ""] = await readdir(runPaths(folder).stages);
      expect(await readdir(join(runPaths(folder).stages, name, "checkpoints"))).toEqual(["000001"]);
      expect(await readFile(runPaths(folder).log, "utf8")).toBe('{"stage":"only","loss":1,"note":null}\n');
    },
  );

  test("a defect in a stage is told with its stack, and nothing of its output appears", async () => {
    const folder = await newFolder();
    const work = async ({ output }: StageContext<{ x: number }, never>) => {
      await writeFile(join(output, "half"), "");
      throw new TypeError("oops");
    };
    const { outcome, messages } = await run(doing(work), folder);
    expect(outcome).toEqual({ kind: "failed", code: "internal", message: "oops", stage: "only", resumable: true });
    expect(messages).toEqual([expect.stringMatching(/oops[\s\S]*run\.test\.ts/)]);
    expect((await readdir(runPaths(folder).stages)).filter((name) => !name.endsWith(".work"))).toEqual([]);
  });

  test("a stage begins each attempt with an empty output folder", async () => {
    const folder = await newFolder();
    const seen: string[][] = [];
    const work = async ({ output }: StageContext<{ x: number }, never>) => {
      seen.push(await readdir(output));
      await writeFile(join(output, "half"), "");
      if (seen.length === 1) throw new Error("once");
    };
    await run(doing(work), folder);
    expect((await run(doing(work), folder)).outcome.kind).toBe("done");
    expect(seen).toEqual([[], []]);
  });

  test("a damaged newest checkpoint: the one before is used, with a message, to the same end", async () => {
    const [uncut, folder] = [await newFolder(), await newFolder()];
    await run(smallPlan(), uncut);
    const controller = new AbortController();
    let boundaries = 0;
    const checkpointDue = () => {
      if (++boundaries === 2) controller.abort();
      return true;
    };
    const first = await run(smallPlan(), folder, { signal: controller.signal, checkpointDue });
    expect(first.outcome.kind).toBe("cancelled");
    const names = await readdir(runPaths(folder).stages);
    const checkpoints = join(
      runPaths(folder).stages,
      names.find((name) => name.endsWith(".work")) ?? "",
      "checkpoints",
    );
    const newest = (await readdir(checkpoints)).sort().at(-1) ?? "";
    expect(newest).toBe("000003");
    await truncate(join(checkpoints, newest, "weights.bin"), 3);
    const second = await run(smallPlan(), folder);
    expect(second.messages).toEqual([
      "Checkpoint 3 is damaged (weights.bin has 3 bytes, expected 128); checkpoint 2 is used.",
    ]);
    expect(stagesOf(second.events, "stage-resumed")).toEqual(["tuned"]);
    expect(await lastingFiles(folder)).toEqual(await lastingFiles(uncut));
  });

  test("a plan with one id twice, or a run with a bad name, is refused before anything is written", async () => {
    const root = await scratchFolder();
    await expect(run([...smallPlan(), ...smallPlan()], join(root, "demo"))).rejects.toThrow("id tuned");
    await expect(run(smallPlan(), join(root, "Bad Name"))).rejects.toMatchObject({ code: "usage" });
    expect(await readdir(root)).toEqual([]);
  });
});
