import { expect, it } from "vitest";
import { runLfp } from "../../test/support/run-lfp.ts";

it("a shape whose training does not fit is refused at once, with the sum", async () => {
  const { code, stderr } = await runLfp(["bench", "engine", "--shape", "qwen3-0.6b"]);
  // Qwen3-0.6B has 596,049,920 weights, by its model card 0.6 billion: 16 bytes each in training.
  expect(stderr).toContain(`needs ${Math.ceil((16 * 596_049_920) / 2 ** 20)} MiB more`);
  expect(code).toBe(6);
}, 20_000);

it("only forward passes are timed, after a check of the loss, where no training is asked for", async () => {
  const { code, stdout } = await runLfp([
    "bench",
    "engine",
    "--shape",
    "tiny",
    "--tokens",
    "32",
    "--steps",
    "1",
    "--forward-only",
    "--json",
  ]);
  const line: unknown = JSON.parse(stdout.trim().split("\n").at(-1) ?? "");
  expect(line).toMatchObject({ check: "ok", forwardTokensPerSecond: expect.any(Number) });
  expect(line).not.toHaveProperty("trainTokensPerSecond");
  expect(code).toBe(0);
}, 20_000);
