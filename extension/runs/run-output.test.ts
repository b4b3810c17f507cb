import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { RunView } from "../../server/protocol/runs.ts";
import { channels } from "../../test/support/vscode-stub.ts";
import type { ServerConnection } from "../server-connection.ts";
import { RunOutputs } from "./run-output.ts";
import type { RunsModel } from "./runs-model.ts";

const running: RunView["state"] = { kind: "running", stage: "tune" };

/** A run whose file of output a test writes, of plain characters, and what was asked of the server. */
function watched(sweep: string | null = null) {
  const file: { text: string; isDown: boolean; answerMs: number } = { text: "", isDown: false, answerMs: 0 };
  const asked: (number | null)[] = [];
  const run = { folder: "/runs/quick", name: "quick", state: running, sweep } as RunView;
  const known = { ...run };
  const server = {
    request: async (_type: unknown, { offset }: { readonly offset: number | null }) => {
      asked.push(offset);
      const { text, answerMs } = file;
      if (answerMs > 0) await new Promise((resolve) => setTimeout(resolve, answerMs));
      if (file.isDown) throw new Error("the server is away");
      const start = offset !== null && offset <= text.length ? offset : 0;
      return { start, offset: text.length, text: text.slice(start) };
    },
  } as unknown as ServerConnection;
  const outputs = new RunOutputs(server, { get: () => known } as unknown as RunsModel);
  return { file, asked, known, outputs, show: () => outputs.show(run) };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => {
  vi.useRealTimers();
  channels.clear();
});

describe("the output of a run", () => {
  it("is shown as it grows, once, until the run is over and all of it was read", async () => {
    const { file, asked, known, outputs, show } = watched();
    file.text = "tune: started\n";
    await show();
    const channel = channels.get("LFP Lens: quick");
    expect(channel?.text).toBe("tune: started\n");
    file.text += "tune: 1 of 2 steps\n";
    await vi.advanceTimersByTimeAsync(1000);
    expect(channel?.text).toBe(file.text);
    await show();
    expect([channels.size, channel?.shown, channel?.text]).toEqual([1, 2, file.text]);
    known.state = { kind: "done" };
    file.text += "done\n";
    await vi.advanceTimersByTimeAsync(1000);
    expect(channel?.text).toBe(file.text);
    const count = asked.length;
    await vi.advanceTimersByTimeAsync(5000);
    expect(asked).toHaveLength(count);
    outputs.dispose();
    expect(channels.size).toBe(0);
  });

  it("is read to its end by a slow server, which is asked one thing at a time, and is said once to be away", async () => {
    const { file, asked, known, show } = watched();
    await show();
    file.answerMs = 2500;
    await vi.advanceTimersByTimeAsync(1000);
    known.state = { kind: "done" };
    file.text += "done\n";
    await vi.advanceTimersByTimeAsync(20_000);
    expect(channels.get("LFP Lens: quick")?.text).toBe("done\n");
    const count = asked.length;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(asked).toHaveLength(count);
    const again = show();
    await vi.advanceTimersByTimeAsync(2500);
    await again;
    file.isDown = true;
    await vi.advanceTimersByTimeAsync(20_000);
    expect(channels.get("LFP Lens: quick")?.text).toBe(
      "done\nLFP Lens: the output cannot be read: the server is away\n",
    );
  });

  it("begins again when the file does, and says when it cannot be read", async () => {
    const { file, show } = watched("/runs/seeds");
    file.text = "the first attempt\n";
    await show();
    const channel = channels.get("LFP Lens: seeds/quick");
    file.text = "again\n";
    await vi.advanceTimersByTimeAsync(1000);
    expect(channel?.text).toBe("again\n");
    file.isDown = true;
    await vi.advanceTimersByTimeAsync(3000);
    expect(channel?.text).toBe("again\nLFP Lens: the output cannot be read: the server is away\n");
    file.isDown = false;
    file.text += "more\n";
    await show();
    expect(channel?.text).toContain("more\n");
  });
});
