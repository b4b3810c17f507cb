/** Assembles the WebAssembly modules into TypeScript files beside them; a test fails when the two have drifted apart. */
import { readFile, writeFile } from "node:fs/promises";
import wabt from "wabt";

const root = new URL("../", import.meta.url);

/** `NAME.wat` in the folder becomes `NAME.wasm.ts`. */
export const wasmModules = [
  { folder: "server/engine/cpu/", name: "kernels" },
  { folder: "server/statistics/", name: "tiles" },
] as const;

type WasmModule = (typeof wasmModules)[number];

/** The text of a module's TypeScript file. */
export async function assembled({ folder, name }: WasmModule): Promise<string> {
  const file = `${name}.wat`;
  const source = await readFile(new URL(folder + file, root), "utf8");
  const { parseWat } = await wabt();
  const module = parseWat(file, source, { simd: true });
  const base64 = Buffer.from(module.toBinary({}).buffer).toString("base64");
  module.destroy();
  const lines = base64.match(/.{1,110}/g) ?? [];
  return `/** Made from ${file} by \`npm run build:wasm\`; do not edit. */\nexport const ${name}WasmBase64 =\n  "${lines.join('" +\n  "')}";\n`;
}

if (import.meta.main)
  for (const module of wasmModules)
    await writeFile(new URL(`${module.folder}${module.name}.wasm.ts`, root), await assembled(module));
