import { afterEach, describe, expect, it } from "vitest";
import { runInfo } from "../../test/support/lens-info.ts";
import { answers, messages, shownChoices, Uri } from "../../test/support/vscode-stub.ts";
import type { Extension } from "../context.ts";
import { offerRunOfSet, openRunOfSet, runOfSet } from "./set-run.ts";

const run = (name: string, dictionaries: string | null, hasProbe = true) => ({
  ...{ name, dictionaries, hasProbe },
  folder: `/runs/${name}`,
});

/** An editor that looks through a run, with a set that belongs to the dictionaries `d1`; `asked` is what the server was. */
function editor(runs: readonly ReturnType<typeof run>[], bundled: ReturnType<typeof run> | null = null) {
  const asked: unknown[] = [];
  const set = { run: { name: "one", dictionaries: "d1" }, features: [{ id: "L4/F43", factor: 0 }] };
  const extension = {
    runs: { model: { all: async () => runs, bundled } },
    lens: { kind: "ready", info: { ...runInfo, runFolder: "/runs/two", runName: "two" } },
    vscode: { workspaceState: { update: async () => undefined } },
    server: {
      request: async (_: unknown, params: unknown) => {
        asked.push(params);
        return { kind: "chosen" };
      },
    },
    ablation: {
      set,
      uri: Uri.file("/w/praise.lfp-ablation.json"),
      state: { kind: "otherRun", run: set.run },
      idle: "praise.lfp-ablation.json belongs to one, and is not applied here",
    },
  };
  return { extension: extension as unknown as Extension, asked, set };
}

afterEach(() => {
  for (const list of [answers, messages, shownChoices]) list.length = 0;
});

describe("the run of an ablation set", () => {
  it("is the one with its dictionaries, whatever its name, the one that is looked through first", async () => {
    const runs = [run("renamed", "d1"), run("two", "d1"), run("one", "d2")];
    const { extension, set } = editor(runs);
    expect((await runOfSet(extension, set))?.name).toBe("two");
    const others = editor([run("one", "d2"), run("renamed", "d1")]);
    expect((await runOfSet(others.extension, set))?.name).toBe("renamed");
    const own = editor([], run("starter-run", "d1"));
    expect((await runOfSet(own.extension, set))?.name).toBe("starter-run");
    const unfinished = editor([run("one", "d1", false)]);
    expect(await runOfSet(unfinished.extension, set)).toBeUndefined();
  });

  it("is offered where the set does not act, and looked through if a person says so", async () => {
    const { extension, asked } = editor([run("one", "d1")]);
    answers.push(undefined, "Look Through one");
    await offerRunOfSet(extension);
    expect([messages.at(-1), shownChoices.at(-1), asked]).toEqual([
      "LFP Lens: praise.lfp-ablation.json belongs to one, and is not applied here.",
      ["Look Through one"],
      [],
    ]);
    await offerRunOfSet(extension);
    expect(asked).toEqual([{ runFolder: "/runs/one" }]);
  });

  it("that is not at hand is said not to be", async () => {
    const { extension, asked } = editor([run("two", "d2")]);
    await offerRunOfSet(extension);
    expect(messages.at(-1)).toMatch(/not applied here\. No run of this workspace has those dictionaries\.$/);
    expect(shownChoices.at(-1)).toEqual([]);
    await expect(openRunOfSet(extension)).rejects.toThrow(
      /No finished run of this workspace has the dictionaries of one/,
    );
    expect(asked).toEqual([]);
  });
});
