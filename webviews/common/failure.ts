/** Failures of a page's questions to its host, and how a page shows them. */
import { html, nothing } from "lit";

/** Awaits a question to the host; resolves to its error message, or to an empty text on success. Never rejects. */
export async function failureOf(asked: Promise<unknown>): Promise<string> {
  try {
    await asked;
    return "";
  } catch (error) {
    return messageOf(error);
  }
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** An element that makes screen readers announce a failure; nothing for an empty text. */
export function alertOf(failure: string) {
  return failure === "" ? nothing : html`<p class="error" role="alert">${failure}</p>`;
}
