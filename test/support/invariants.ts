/** DESIGN's invariants as rules over the import graph. Each is about an absence; a rule gives a line for everything that breaks it. */
import type { Import, SourceFile } from "./import-graph.ts";

export interface Rule {
  readonly name: string;
  readonly violations: (files: readonly SourceFile[]) => string[];
}

const NETWORK =
  /^(node:)?(http|https|http2|net|tls|dgram|dns)(\/|$)|^(@huggingface\/hub|openai|undici|ws|node-fetch)(\/|$)/;
const FILES = /^(node:)?(fs|child_process|sqlite)(\/|$)/;
const ONNX_RUNTIME = /^(onnxruntime-(node|web|common)|@huggingface\/transformers)(\/|$)/;
/** Globals that open a connection; `typeof fetch` in a type does not. */
const NETWORK_GLOBALS = /(?<!typeof )(?<![.\w"'`])(?:globalThis\.)?(?:fetch|WebSocket|EventSource|XMLHttpRequest)\s*\(/;
const MAY_CONNECT = /^server\/(models\/hub(\/|\.ts)|endpoint\/|runs\/ray\/)/;
/** Parts that know nothing of one another; server/pipeline joins them. */
const SEPARATE_PARTS = [
  "tuning",
  "sae",
  "learned",
  "calibration",
  "probe",
  "explain",
  "grading",
  "ablate",
  "lens",
] as const;
const LONGEST_FILE = 450;
/** The pipeline joins everything, and would grow most. */
const LONGEST_PIPELINE_FILE = 300;

export const rules: readonly Rule[] = [
  imports("engine knows no model, no run, no language server", {
    from: /^server\/engine\//,
    forbidden: /^server\/(?!engine\/|common\/)/,
    types: true,
  }),
  {
    name: "engine does no file or network IO, nor does anything that it loads",
    violations: (files) => {
      const loaded = reachable(files, (path) => path.startsWith("server/engine/"));
      return broken(loaded, ({ kind, target }) => kind === "value" && (FILES.test(target) || NETWORK.test(target)));
    },
  },
  imports("only engine/webgpu imports webgpu", {
    from: /^(?!server\/engine\/webgpu\/)/,
    forbidden: /^webgpu(\/|$)/,
    types: true,
  }),
  imports("only engine/onnx and engine/cpu import an ONNX runtime", {
    from: /^(?!server\/engine\/(onnx|cpu)\/)/,
    forbidden: ONNX_RUNTIME,
    types: true,
  }),
  imports("only engine/cpu imports koffi", { from: /^(?!server\/engine\/cpu\/)/, forbidden: /^koffi$/, types: true }),
  imports("nothing under server imports vscode", { from: /^server\//, forbidden: /^vscode$/, types: true }),
  imports("extension and webviews import from server/protocol only", {
    from: /^(extension|webviews)\//,
    forbidden: /^(server\/(?!protocol\/)|kernels\/|scripts\/)/,
    types: true,
  }),
  imports("drawing imports only protocol", {
    from: /^drawing\//,
    forbidden: /^(?!drawing\/|server\/protocol\/)/,
    types: true,
  }),
  imports("protocol imports nothing of ours", {
    from: /^server\/protocol\//,
    forbidden: /^(server\/(?!protocol\/)|extension\/|webviews\/|drawing\/)/,
    types: true,
  }),
  imports("runs knows no model, no experiment and no stage", {
    from: /^server\/runs\//,
    forbidden: /^server\/(?!runs\/|common\/|engine\/device\.ts|engine\/cpu\/device\.ts|protocol\/run-events\.ts)/,
    types: true,
  }),
  imports("only plans of runs know stages", {
    from: /^server\/(?!pipeline\/(stages\/|plan-[a-z]+\.ts))/,
    forbidden: /^server\/pipeline\/stages\//,
    types: true,
  }),
  imports("what stages write is read without knowing who writes or reads it", {
    from: /^server\/pipeline\/artifacts\//,
    forbidden: /^server\/pipeline\/(?!artifacts\/|ablation\/|experiment\/)/,
    types: true,
  }),
  imports("what is done with finished runs is known to nothing that makes them", {
    from: /^server\/pipeline\/(?!finished\/)/,
    forbidden: /^server\/pipeline\/finished\//,
    types: true,
  }),
  imports("only tuning, its benches and the presets know one way of tuning from another", {
    from: /^server\/(?!tuning\/|bench\/[a-z]+-timing\.ts|pipeline\/experiment\/(preference-)?presets\.ts)/,
    forbidden: /^server\/tuning\/(ppo|dpo)/,
    types: true,
  }),
  imports("only rewards and benches know VADER", {
    from: /^server\/(?!rewards\/|bench\/)/,
    forbidden: /^server\/rewards\/vader/,
    types: true,
  }),
  ...SEPARATE_PARTS.map((part) =>
    imports(`${part} imports none of ${SEPARATE_PARTS.filter((other) => other !== part).join(", ")}`, {
      from: new RegExp(`^server/${part}/`),
      forbidden: new RegExp(`^server/(${SEPARATE_PARTS.filter((other) => other !== part).join("|")})/`),
      types: true,
    }),
  ),
  {
    name: "only models/hub, endpoint and runs/ray open connections",
    violations: (files) => {
      const others = files.filter(({ path }) => path.startsWith("server/") && !MAY_CONNECT.test(path));
      const calls = others.flatMap(({ path, source }) =>
        NETWORK_GLOBALS.test(withoutComments(source)) ? [`${path} calls fetch or opens a socket`] : [],
      );
      return [...broken(others, ({ kind, target }) => kind === "value" && NETWORK.test(target)), ...calls];
    },
  },
  imports("only explain, grading and the grader ask an endpoint, and pipeline and cli have them ask", {
    from: /^server\/(?!endpoint\/|explain\/|grading\/|rewards\/grader|pipeline\/|cli\/)/,
    forbidden: /^server\/endpoint\//,
    types: true,
  }),
  imports("endpoint knows no feature, no data set and no run", {
    from: /^server\/endpoint\//,
    forbidden: /^server\/(?!endpoint\/|common\/)/,
    types: true,
  }),
  {
    name: "only models compares names of architectures",
    violations: (files) =>
      files
        .filter(({ path }) => path.startsWith("server/") && !path.startsWith("server/models/"))
        .flatMap(({ path, source }) =>
          ARCHITECTURE_COMPARED.test(withoutComments(source)) ? [`${path} compares a model type with a name`] : [],
        ),
  },
  { name: "there is no import cycle, of types neither", violations: cycles },
  longest(`no file is longer than ${LONGEST_FILE} lines`, LONGEST_FILE, /./),
  longest(
    `no file of the pipeline is longer than ${LONGEST_PIPELINE_FILE} lines`,
    LONGEST_PIPELINE_FILE,
    /^server\/pipeline\//,
  ),
];

/** `modelType === "gemma"`, `"gemma" !== modelType`, `case "gemma":`, whatever the name. */
const ARCHITECTURE_COMPARED =
  /modelType\s*[!=]==\s*["'`]|["'`]\s*[!=]==\s*[\w.]*modelType|case\s+["'`](?:gpt_neox|gpt_neo|gpt2|gemma\w*|llama|qwen\w*|mistral|olmo\w*)["'`]/;

interface Forbidden {
  readonly from: RegExp;
  readonly forbidden: RegExp;
  /** Whether imports of types count. */
  readonly types: boolean;
}

function longest(name: string, most: number, of: RegExp): Rule {
  return {
    name,
    violations: (files) =>
      files.flatMap(({ path, source }) => {
        const lines = source.split("\n").length - 1;
        return of.test(path) && lines > most ? [`${path} has ${lines} lines`] : [];
      }),
  };
}

function imports(name: string, { from, forbidden, types }: Forbidden): Rule {
  return {
    name,
    violations: (files) =>
      broken(
        files.filter(({ path }) => from.test(path)),
        ({ target, kind }) => forbidden.test(target) && (types || kind === "value"),
      ),
  };
}

function broken(files: readonly SourceFile[], isForbidden: (found: Import) => boolean): string[] {
  return files.flatMap(({ path, imports: list }) =>
    list.filter(isForbidden).map(({ target }) => `${path} imports ${target}`),
  );
}

/** The files that match, and all that they load. */
function reachable(files: readonly SourceFile[], isStart: (path: string) => boolean): SourceFile[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const found = new Set<SourceFile>();
  const visit = (file: SourceFile | undefined): void => {
    if (file === undefined || found.has(file)) return;
    found.add(file);
    for (const { target, kind } of file.imports) if (kind === "value") visit(byPath.get(target));
  };
  for (const file of files) if (isStart(file.path)) visit(file);
  return [...found];
}

/** The parts of the extension are handed to one another as types by the file that makes them all. */
const MAY_CLOSE_TYPE_CYCLES = "extension/context.ts";

/** Each cycle of imports once, from its first path in the alphabet. */
function cycles(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const found: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    const start = way.indexOf(path);
    if (start >= 0) found.push([...way.slice(start), path].join(" -> "));
    if (start >= 0 || done.has(path)) return;
    for (const { target, kind } of byPath.get(path)?.imports ?? [])
      if (byPath.has(target) && (kind === "value" || target !== MAY_CLOSE_TYPE_CYCLES)) visit(target, [...way, path]);
    done.add(path);
  };
  for (const { path } of files) visit(path, []);
  return found;
}

function withoutComments(source: string): string {
  return source.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "");
}
