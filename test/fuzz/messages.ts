/** Messages as an editor sends them, of every kind that the server takes, about documents and a run that may or may not be there. */
import type { Random } from "../../server/common/random.ts";
import { documentText, pick } from "./junk.ts";

export interface Surroundings {
  readonly runsRoot: string;
  readonly run: string;
}

interface Made {
  readonly method: string;
  readonly params: unknown;
  readonly isRequest: boolean;
}

const uris = ["untitled:0", "untitled:1", "file:///w/a.md", "file:///w/b.jsonl", "file:///w/d.lfp-experiment.json"];
const languages = ["plaintext", "markdown", "jsonl", "json"];
const modes = ["implicit", "true", "disagreement", "tunedMinusBase", "ablatedMinusNot"];

/** Keeps what the editor would know: versions of documents and ids of requests. */
export class MessageMaker {
  readonly #random: Random;
  readonly #surroundings: Surroundings;
  readonly #versions = new Map<string, number>();

  constructor(random: Random, surroundings: Surroundings) {
    this.#random = random;
    this.#surroundings = surroundings;
  }

  make(): Made {
    const makers = [
      this.#open,
      this.#change,
      this.#change,
      this.#change,
      this.#close,
      this.#read,
      this.#read,
      this.#read,
    ];
    const others = [
      this.#strongest,
      this.#pairs,
      this.#describe,
      this.#hover,
      this.#hover,
      this.#actions,
      this.#wanted,
      this.#runs,
    ];
    const rare = [
      this.#features,
      this.#choose,
      this.#configure,
      this.#unknown,
      this.#completions,
      this.#jobs,
      this.#pair,
    ];
    return pick(this.#random, [...makers, ...others, ...rare]).call(this);
  }

  #uri(): string {
    return pick(this.#random, uris);
  }

  /** Mostly the version that is right. */
  #version(uri: string): number {
    return (this.#versions.get(uri) ?? 1) - (this.#random.integer(15) === 0 ? 1 : 0);
  }

  #open(): Made {
    const uri = this.#uri();
    this.#versions.set(uri, 1);
    const text = documentText(this.#random);
    return notification("textDocument/didOpen", {
      textDocument: { uri, languageId: pick(this.#random, languages), version: 1, text },
    });
  }

  #change(): Made {
    const uri = this.#uri();
    const version = (this.#versions.get(uri) ?? 1) + 1;
    this.#versions.set(uri, version);
    const count = this.#random.integer(20) === 0 ? 200 : 1 + this.#random.integer(4);
    const contentChanges = Array.from({ length: count }, () => ({
      ...(this.#random.integer(15) === 0 ? {} : { range: this.#range() }),
      text: documentText(this.#random).slice(0, this.#random.integer(300)),
    }));
    return notification("textDocument/didChange", { textDocument: { uri, version }, contentChanges });
  }

  #close(): Made {
    const uri = this.#uri();
    this.#versions.delete(uri);
    return notification("textDocument/didClose", { textDocument: { uri } });
  }

  #read(): Made {
    const uri = this.#uri();
    const start = this.#random.integer(5000);
    return request("lfp/readTokens", {
      uri,
      version: this.#version(uri),
      mode: this.#mode(),
      ranges: [{ start, end: start + this.#random.integer(3000) }],
      ablation: this.#ablation(),
      maxTokens: 1 + this.#random.integer(2000),
    });
  }

  #strongest(): Made {
    const uri = this.#uri();
    const limit = 1 + this.#random.integer(50);
    return request("lfp/strongestTokens", {
      uri,
      version: this.#version(uri),
      mode: this.#mode(),
      ablation: null,
      limit,
    });
  }

  #pairs(): Made {
    const uri = this.#uri();
    const asked = { uri, version: this.#version(uri), ablation: this.#ablation() };
    const at = this.#random.integer(300);
    return this.#random.integer(2) === 0
      ? request("lfp/walkPairs", {
          ...asked,
          from: at,
          direction: pick(this.#random, [1, -1]),
          untilDiffers: at % 2 === 0,
        })
      : request("lfp/describePair", { ...asked, offset: 10 * at, words: 1 + this.#random.integer(50) });
  }

  #describe(): Made {
    const uri = this.#uri();
    const offset = this.#random.integer(2000);
    return request("lfp/describeToken", {
      uri,
      version: this.#version(uri),
      offset,
      ablation: this.#ablation(),
      features: 5,
    });
  }

  #hover(): Made {
    const method = pick(this.#random, ["textDocument/hover", "textDocument/definition"]);
    return request(method, { textDocument: { uri: this.#uri() }, position: this.#position() });
  }

  #actions(): Made {
    const range = this.#range();
    const data = {
      start: this.#random.integer(500),
      end: this.#random.integer(600),
      word: "good",
      passage: "0123456789abcdef",
    };
    const diagnostics = [{ range, message: "m", code: "reward-disagreement", data }];
    return request("textDocument/codeAction", { textDocument: { uri: this.#uri() }, range, context: { diagnostics } });
  }

  #wanted(): Made {
    return notification("lfp/problemsWanted", { uri: this.#uri(), wanted: this.#random.integer(3) > 0 });
  }

  #runs(): Made {
    const { run } = this.#surroundings;
    const folder = pick(this.#random, [run, `${run}/..`, "/", `${run}x`]);
    return pick(this.#random, [
      request("lfp/listRuns", {}),
      request("lfp/runSeries", { folder, offset: this.#random.integer(100), maxLines: 10 }),
      request("lfp/readReport", { folder }),
      request("lfp/cancelRun", { folder }),
      // Never the run itself: that would start a process that outlives the test.
      request("lfp/resumeRun", { folder: pick(this.#random, [`${run}x`, "/", ""]) }),
      request("lfp/startRun", { experiment: "nowhere.json", runsRoot: this.#surroundings.runsRoot, name: "no" }),
    ]);
  }

  #features(): Made {
    const { run: runFolder } = this.#surroundings;
    const id = pick(this.#random, ["L0/F3", "L1/F23", "base:L0/F1", "L0/F3@big", "L7/F9"]);
    return pick(this.#random, [
      request("lfp/queryFeatures", { runFolder, query: { search: "good" }, offset: 0, count: 10 }),
      request("lfp/describeFeature", { runFolder, id }),
      request("lfp/describeStore", { runFolder }),
      request("lfp/tryFeature", { runFolder, id, text: documentText(this.#random).slice(0, 500) }),
      request("lfp/annotateFeature", { runFolder, id, note: "n" }),
      request("lfp/ask", { question: "feature", input: { id } }),
      request("lfp/ask", { question: "score", input: { text: documentText(this.#random).slice(0, 500), words: 5 } }),
      request("lfp/ask", { question: pick(this.#random, ["status", "report", "features"]), input: { run: "tiny" } }),
    ]);
  }

  /** What takes long and may cost money. Nothing answers at the service's address. */
  #jobs(): Made {
    const { run: runFolder } = this.#surroundings;
    const job = `job ${this.#random.integer(1000)}`;
    const id = pick(this.#random, ["L0/F3", "L1/F7", "base:L0/F1", "L8/F1"]);
    const ids = pick(this.#random, [null, [], [id], ["L0/F3", id]]);
    const endpoint = { baseUrl: "http://127.0.0.1:9/v1", model: "m", prices: { inputUsd: 1, outputUsd: 2 } };
    const service = pick(this.#random, [null, null, endpoint]);
    const key = service === null ? null : { ...service, apiKey: "k" };
    const features = [{ id, factor: this.#random.integer(3) }];
    const measure = { runFolder, features, prompts: 16, seed: this.#random.integer(3), job };
    return pick(this.#random, [
      request("lfp/previewExplain", { runFolder, ids, endpoint: service }),
      request("lfp/explainFeatures", { runFolder, ids, endpoint: key, capUsd: this.#random.integer(2), job }),
      request("lfp/measureAblation", measure),
    ]);
  }

  #choose(): Made {
    const { run } = this.#surroundings;
    if (this.#random.integer(4) === 0) {
      const checkpoint = (): string => pick(this.#random, [`${run}/tuned`, `${run}/../../base`, run, "starter", "/"]);
      return request("lfp/comparePair", { tuned: checkpoint(), base: checkpoint(), open: this.#random.integer(2) > 0 });
    }
    return request("lfp/chooseRun", { runFolder: pick(this.#random, [run, run, run, null, `${run}x`, "/"]) });
  }

  #configure(): Made {
    const { runsRoot } = this.#surroundings;
    const threshold = this.#random.integer(3);
    return notification("lfp/configurationChanged", {
      runsRoots: [runsRoot],
      trusted: this.#random.integer(8) > 0,
      settings: { threads: 1, problems: { threshold } },
    });
  }

  #completions(): Made {
    return request("lfp/compareCompletions", {
      prompts: [documentText(this.#random).slice(0, 200)],
      ablation: { format: "lfp-ablation/1", features: [{ id: "L0/F3" }] },
      maxNewTokens: 4,
      temperature: this.#random.integer(2),
      seed: 1,
    });
  }

  #pair(): Made {
    const record = pick(this.#random, [
      documentText(this.#random),
      JSON.stringify({ prompt: documentText(this.#random), chosen: documentText(this.#random), rejected: "b" }),
      JSON.stringify({ chosen: [{ role: "assistant", content: documentText(this.#random) }], rejected: [] }),
    ]);
    return request("lfp/inspectPair", { record, data: "a.jsonl", row: this.#random.integer(4) });
  }

  #unknown(): Made {
    const method = pick(this.#random, [
      "$/progress",
      "$/setTrace",
      "$/nothing",
      "workspace/didChangeConfiguration",
      "lfp/no",
    ]);
    return this.#random.integer(2) === 0 ? request(method, { token: 1, value: {} }) : notification(method, null);
  }

  #mode(): unknown {
    if (this.#random.integer(5) === 0)
      return { kind: "feature", id: pick(this.#random, ["L0/F3", "L1/F39@big", "L9/F1"]) };
    return { kind: pick(this.#random, modes) };
  }

  #ablation(): unknown {
    if (this.#random.integer(4) > 0) return null;
    const features = [
      { id: pick(this.#random, ["L0/F3", "L1/F7", "base:L0/F1", "L8/F1"]), factor: this.#random.integer(3) },
    ];
    return { format: "lfp-ablation/1", features };
  }

  #position(): { line: number; character: number } {
    return { line: this.#random.integer(20), character: this.#random.integer(200) };
  }

  #range(): unknown {
    const [start, end] = [this.#position(), this.#position()];
    // Backwards now and then, as no editor sends it.
    const isForward = start.line < end.line || (start.line === end.line && start.character <= end.character);
    return isForward || this.#random.integer(10) === 0 ? { start, end } : { start: end, end: start };
  }
}

function request(method: string, params: unknown): Made {
  return { method, params, isRequest: true };
}

function notification(method: string, params: unknown): Made {
  return { method, params, isRequest: false };
}
