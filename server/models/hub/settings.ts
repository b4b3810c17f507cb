import { homedir } from "node:os";
import { join } from "node:path";
import { readTextFile } from "../../common/text-file.ts";
import { HubSettingsError } from "./errors.ts";

/** Environment variables, as `process.env` holds them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The hub's endpoint, cache folder and access token, as set by huggingface_hub's environment variables. */
export interface HubSettings {
  /** Without a slash at its end. */
  readonly endpoint: string;
  /** The folder that holds `models--owner--name`. */
  readonly cacheFolder: string;
  /** Sent to the endpoint's origin and nowhere else. */
  readonly token: string | undefined;
  /** Forbids all requests. */
  readonly offline: boolean;
}

/**
 * Reads HF_ENDPOINT, HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, HF_HUB_OFFLINE and the token (HF_TOKEN, or the file that
 * `hf auth login` writes). Variables: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
 * Throws `HubSettingsError`.
 */
export async function hubSettings(env: Environment = process.env): Promise<HubSettings> {
  const cacheHome = folderOf(env["XDG_CACHE_HOME"]) ?? join(homedir(), ".cache");
  const home = folderOf(env["HF_HOME"]) ?? join(cacheHome, "huggingface");
  return {
    endpoint: endpointOf(env["HF_ENDPOINT"]),
    cacheFolder: folderOf(env["HF_HUB_CACHE"]) ?? folderOf(env["HUGGINGFACE_HUB_CACHE"]) ?? join(home, "hub"),
    token: await tokenOf(env, home),
    offline: isTrue(env["HF_HUB_OFFLINE"]) || isTrue(env["TRANSFORMERS_OFFLINE"]),
  };
}

function endpointOf(value: string | undefined): string {
  if (!value) return "https://huggingface.co";
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const sound = url !== undefined && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search;
  if (!sound) throw new HubSettingsError("HF_ENDPOINT", "a web address like https://huggingface.co");
  return value.replace(/\/+$/, "");
}

async function tokenOf(env: Environment, home: string): Promise<string | undefined> {
  const variable = env["HF_TOKEN"] || env["HUGGING_FACE_HUB_TOKEN"];
  const file = folderOf(env["HF_TOKEN_PATH"]) ?? join(home, "token");
  const token = (variable || (await readTextFile(file, "record").catch(() => ""))).trim();
  // Checked here, because an error from fetch would quote the whole header.
  if (!/^[\x21-\x7e]*$/.test(token)) throw new HubSettingsError(variable ? "HF_TOKEN" : file, "an access token");
  return token === "" ? undefined : token;
}

function folderOf(value: string | undefined): string | undefined {
  if (!value) return undefined;
  return value === "~" || value.startsWith("~/") ? join(homedir(), value.slice(1)) : value;
}

function isTrue(value: string | undefined): boolean {
  return /^(1|on|yes|true)$/i.test(value ?? "");
}
