import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { scratchFolder } from "../../test/unit/runs/scratch.ts";
import { writeFileAtomically } from "../common/atomic-file.ts";
import { CommandRewardError, commandFiles, commandReward } from "./command.ts";
import type { CommandConfig } from "./command-config.ts";

type Settings = Pick<CommandConfig, "command" | "timeoutS" | "memoryMB">;

/** A program in JavaScript: `answer` is called with every line's object and what was written before. */
function program(body: string, settings: Partial<Settings> = {}): Settings {
  const source = `
    import { createInterface } from "node:readline";
    let lines = 0;
    for await (const line of createInterface({ input: process.stdin })) {
      const { prompt, completion, text } = JSON.parse(line);
      lines += 1;
      ${body}
    }`;
  return {
    command: [process.execPath, "--input-type=module", "-e", source],
    timeoutS: 60,
    memoryMB: null,
    ...settings,
  };
}

const batchOf = (...completions: readonly string[]) => completions.map((completion) => ({ prompt: "p ", completion }));

async function failureOf(settings: Settings): Promise<CommandRewardError> {
  await using reward = commandReward(settings, "completion");
  const error: unknown = await reward.score(batchOf("a")).catch((cause: unknown) => cause);
  if (!(error instanceof CommandRewardError)) throw new Error(`got ${String(error)}; expected a CommandRewardError`);
  await expect(reward.score(batchOf("b"))).rejects.toBe(error);
  return error;
}

describe("a program as feedback", () => {
  it("gets prompt, completion and the text to judge, and its numbers are the rewards, in order", async () => {
    await using reward = commandReward(
      program("console.log(completion.length / 4 - (text === prompt + completion));"),
      "full",
    );
    expect([...(await reward.score(batchOf("ab", "abcd", "é€😀\n")))]).toEqual([-0.5, 0, 0.25]);
    expect([...(await reward.score([]))]).toEqual([]);
  });

  it("is one process for all batches, which is asked once about equal completions", async () => {
    await using reward = commandReward(program("console.log(lines);"), "completion");
    expect([...(await reward.score(batchOf("a", "b", "a")))]).toEqual([1, 2, 1]);
    const [one, other] = await Promise.all([reward.score(batchOf("b", "c")), reward.score(batchOf("d", "a"))]);
    expect([...one, ...other]).toEqual([2, 3, 4, 1]);
  });

  it("may answer null, which counts as 0, and exponents", async () => {
    await using reward = commandReward(program(`console.log(completion === "a" ? "null" : " -1.5e-1");`), "completion");
    expect([...(await reward.score(batchOf("a", "b")))]).toEqual([0, -0.15]);
  });

  it("reads answers that come in pieces, and many of them", async () => {
    const slow = `process.stdout.write("1"); await new Promise((go) => setImmediate(go)); process.stdout.write(completion + "\\r\\n");`;
    await using reward = commandReward(program(slow), "completion");
    const completions = Array.from({ length: 300 }, (_, at) => String(at));
    expect([...(await reward.score(batchOf(...completions)))]).toEqual(completions.map((text) => Number(`1${text}`)));
  });

  it("that answers no number is refused with its answer and what it wrote", async () => {
    const { message } = await failureOf(program(`console.error("no model here"); console.log("high");`));
    expect(message).toMatch(/answered "high" to completion 1 of a batch; expected a finite number or null/);
    for (const answer of ["NaN", "Infinity", "", "1 2", "{}", "0x10", "1e999"]) {
      const error = await failureOf(program(`console.log(${JSON.stringify(answer)});`));
      expect(error.message).toContain("expected a finite number or null");
    }
  });

  it("that ends, or cannot be started, is told with its status and last words", async () => {
    const { message } = await failureOf(
      program(`console.error("out of\\u001b[31m credit"); process.exitCode = 3; process.exit();`),
    );
    expect(message).toMatch(/ended with status 3 before it had answered\. It wrote: out of/);
    expect(message).not.toContain("\u001b");
    const missing = await failureOf({ command: ["/no/such/program"], timeoutS: 60, memoryMB: null });
    expect(missing.message).toMatch(/cannot be started: .*ENOENT/);
  });

  it("that does not answer in time is stopped, with the processes that it started", async () => {
    const folder = await scratchFolder();
    const file = join(folder, "pid");
    const stuck = `
      const { spawn } = await import("node:child_process");
      const { writeFileSync } = await import("node:fs");
      writeFileSync(${JSON.stringify(file)}, String(spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]).pid));`;
    const { message } = await failureOf(program(stuck, { timeoutS: 5 }));
    expect(message).toContain("did not answer 1 completions within 5 s");
    const { readFile } = await import("node:fs/promises");
    await gone(Number(await readFile(file, "utf8")));
  });

  it.skipIf(process.platform !== "linux")("that holds too much memory is stopped", async () => {
    const greedy = "globalThis.held = Buffer.alloc(400e6, 1); await new Promise((go) => setTimeout(go, 60_000));";
    const { message } = await failureOf(program(greedy, { memoryMB: 300 }));
    expect(message).toMatch(/holds \d+ MB of memory, more than the 300 MB of reward.memoryMB/);
  });

  it("stops waiting with the signal's reason", async () => {
    await using reward = commandReward(program("await new Promise(() => setInterval(() => {}, 1000));"), "completion");
    const stop = new AbortController();
    const scored = reward.score(batchOf("a"), stop.signal);
    stop.abort(new Error("enough"));
    await expect(scored).rejects.toThrow("enough");
  });

  it("depends on the files that its command names by absolute paths", async () => {
    const file = join(await scratchFolder(), "reward.py");
    await writeFileAtomically(file, "print(1)");
    expect(commandFiles({ command: ["python3", file, "--model", "./x"], timeoutS: 1, memoryMB: null })).toEqual([file]);
  });
});

/** Waits until a process is gone; a test's own limit ends this. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await delay(20);
  }
}
