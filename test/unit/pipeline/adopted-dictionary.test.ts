/** Runs through a dictionary that someone else trained, and what is refused. Letters: D width, F features. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { starterFolder } from "../../../server/common/package-root.ts";
import { Random } from "../../../server/common/random.ts";
import { createCpuDevice } from "../../../server/engine/cpu/device.ts";
import type { Device } from "../../../server/engine/device.ts";
import type { Model } from "../../../server/models/model.ts";
import { openModel } from "../../../server/models/open.ts";
import { type Site, siteNames } from "../../../server/models/sites.ts";
import { autoencodersSchema } from "../../../server/pipeline/artifacts/autoencoders.ts";
import { readRecord } from "../../../server/runs/run-folder.ts";
import { DictionaryFitError } from "../../../server/sae/errors.ts";
import { checkFit } from "../../../server/sae/foreign/fit.ts";
import { loadSae, saveSae } from "../../../server/sae/format.ts";
import { placeSae } from "../../../server/sae/inference.ts";
import { type Activation, type Sae, unitRows } from "../../../server/sae/sae.ts";
import { runLfp } from "../../support/run-lfp.ts";
import { useStateFolder } from "../../support/state-folder.ts";
import { linesOf, rowAt, tinyPreferences } from "./tiny-preferences.ts";

const D = 128;
const layer = 1;

/** Rows e and -e of every dimension under a ReLU: it gives back whatever it encodes, with D features active. */
function exact(scale = 1): Sae {
  const F = 2 * D;
  const rows = (size: number) =>
    Float32Array.from({ length: F * D }, (_, at) => {
      const [f, d] = [Math.floor(at / D), at % D];
      return f % D === d ? (f < D ? size : -size) : 0;
    });
  const [encoderBias, decoderBias] = [new Float32Array(F), new Float32Array(D)];
  return {
    D,
    F,
    activation: { kind: "relu" },
    encoder: rows(1 / scale),
    encoderBias,
    decoder: rows(scale),
    decoderBias,
  };
}

/** Random directions, many more than dimensions, each both encoder and decoder. */
function overcomplete(activation: Activation): Sae {
  const F = 8 * D;
  const random = Random.fromSeed(3);
  const rows = unitRows(
    Float32Array.from({ length: F * D }, () => random.normal()),
    D,
  );
  return {
    D,
    F,
    activation,
    encoder: rows,
    encoderBias: new Float32Array(F),
    decoder: rows,
    decoderBias: new Float32Array(D),
  };
}

describe("a dictionary on texts of the starter model", () => {
  let device: Device;
  let model: Model;
  let texts: Int32Array[];
  beforeAll(async () => {
    device = await createCpuDevice({ threads: 1 });
    const opened = await openModel(device, "starter");
    model = opened.model;
    const lines = (await readFile(join(starterFolder(), "reviews.jsonl"), "utf8")).split("\n").slice(0, 8);
    texts = lines.map((line) => opened.tokenizer.encode(JSON.parse(line).text).ids);
  });
  afterAll(() => device.close());

  const check = async (sae: Sae, l0?: number) => {
    const origin = { format: "SAELens", modelName: "pythia-70m", site: undefined, l0 };
    return await checkFit({ sae, origin }, { layer, site: "mlp-output" }, "F", {
      device,
      model: { name: "base", model },
      texts,
      contextLength: 64,
      placed: await placeSae(device, "dictionary", sae),
    });
  };
  const refusal = (sae: Sae, l0?: number) => check(sae, l0).catch((error: unknown) => error);

  it("that fits is measured", async () => {
    const quality = await check(exact(), 100);
    expect(quality.fve).toBeCloseTo(1, 5);
    expect(quality.l0).toBeCloseTo(D, 0);
    expect((await check(overcomplete({ kind: "topk", k: 16 }), 16)).l0).toBe(16);
  });

  it("is refused with its numbers where a TopK is read as a ReLU, or it encodes something else", async () => {
    const asRelu = await refusal(overcomplete({ kind: "relu" }), 16);
    expect(asRelu).toBeInstanceOf(DictionaryFitError);
    expect(String(asRelu)).toMatch(
      /the dictionary in F does not fit: on \d+ tokens of the base model it leaves 1\d\.\d of the variance unexplained \(FVU\), with 5\d\d of 1024 features active at a token \(L0\); expected an FVU of at most 0\.9; its files name the model 'pythia-70m'/,
    );
    const { decoder, ...rest } = exact();
    const turned = await refusal({ ...rest, decoder: decoder.map((value) => -value) });
    expect(String(turned)).toMatch(/it leaves [4-6]\.\d* of the variance unexplained/);
    expect(String(await refusal(exact(), 3))).toMatch(
      /with 128 of 256 features active at a token \(L0\); its files say an L0 of 3/,
    );
  });
});

describe("a run through a dictionary of others", () => {
  const stateFolder = useStateFolder("adopted");
  const lfp = (args: readonly string[]) => runLfp(args, { signal: new AbortController().signal, env: process.env });

  async function experimentFile(name: string, changes: object, site: Site = "mlp-output"): Promise<string> {
    const own = join(stateFolder(), name);
    await mkdir(own, { recursive: true });
    await writeFile(join(own, "pairs.jsonl"), linesOf(Array.from({ length: 60 }, (_, at) => rowAt(at))));
    const origin = {
      modelName: "theirs",
      layer,
      site,
      module: "m",
      contextLength: 8,
      prependBos: false,
      dataset: null,
    };
    await saveSae(join(own, "theirs"), exact(2), origin);
    await writeFile(join(own, "experiment.json"), JSON.stringify({ ...tinyPreferences, ...changes }));
    return join(own, "experiment.json");
  }
  const source = { ...tinyPreferences.sae, source: "theirs" };

  it.each(siteNames)(
    "of %s measures it on both models, trains none, and ends with a report",
    { timeout: 240_000 },
    async (site) => {
      const file = await experimentFile(
        `fits-${site}`,
        { sae: { ...source, site }, divergence: { layers: [layer] } },
        site,
      );
      const run = join(stateFolder(), `run-${site}`);
      const { code, stderr } = await lfp(["run", file, "--out", run]);
      expect(code, stderr).toBe(0);
      const output = (await readRecord(run))?.stages.find(({ id }) => id === "autoencoders")?.output ?? "missing";
      const found = autoencodersSchema.parse(JSON.parse(await readFile(join(run, output, "quality.json"), "utf8")));
      expect(found).toMatchObject({ trainingTokens: 0, steps: 0, similarities: [] });
      expect(found.saes).toMatchObject([
        { model: "base", layer, F: 2 * D },
        { model: "tuned", layer, F: 2 * D },
      ]);
      for (const { fve, lossRecovered } of found.saes) {
        expect(fve).toBeCloseTo(1, 5);
        expect(lossRecovered).toBeCloseTo(1, 4);
      }
      const { sae, metadata, ...place } = await loadSae(join(run, "sae", "tuned", `${layer}`, `${2 * D}`));
      expect(sae.decoder).toEqual(exact().decoder);
      expect(place).toEqual({ site });
      expect(metadata).toMatchObject({ model_name: "theirs", lfp_source_format: "SAELens" });
      expect(await readFile(join(run, "report.md"), "utf8")).toContain(
        "a dictionary that was trained elsewhere (theirs), for both models",
      );
    },
  );

  it("is refused for another layer, without one, and without the folder", async () => {
    const other = await lfp([
      "run",
      await experimentFile("other", { sae: source, divergence: { layers: [2] } }),
      "--out",
      join(stateFolder(), "other-run"),
    ]);
    expect(other.stderr).toMatch(/theirs encodes 'blocks\.1\.hook_mlp_out', so layer 1, but layer 2 was asked for/);
    const residual = await experimentFile("residual", { sae: source, divergence: { layers: [layer] } }, "residual");
    const elsewhere = await lfp(["run", residual, "--out", join(stateFolder(), "residual-run")]);
    expect(elsewhere.stderr).toMatch(/so site residual, but site mlp-output was asked for/);
    const unnamed = await lfp([
      "run",
      await experimentFile("unnamed", { sae: source }),
      "--out",
      join(stateFolder(), "u"),
    ]);
    expect(unnamed.stderr).toMatch(
      /divergence\.layers.*must name the one layer that the dictionary of sae\.source encodes/,
    );
    const missing = { ...source, source: "nowhere" };
    const none = await lfp([
      "run",
      await experimentFile("none", { sae: missing, divergence: { layers: [1] } }),
      "--out",
      join(stateFolder(), "n"),
    ]);
    expect(none.stderr).toMatch(/sae\.source.*there is no folder .*nowhere/);
    expect([other.code, elsewhere.code, unnamed.code, none.code]).not.toContain(0);
  });
});
