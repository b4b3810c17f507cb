/** An answer, or the reason why it is missing. */
export type Outcome<T> =
  | { readonly kind: "answer"; readonly value: T }
  | { readonly kind: "none"; readonly reason: string };

/** Why there is no answer. */
export type NoAnswer =
  /** The model, or a filter in front of it, refused. */
  | "refused"
  /** Its answer was not the JSON that was asked for, twice, or was empty, or was cut. */
  | "unusable"
  /** The server rejected the request, such as one that is too long. */
  | "rejected"
  /** The server gave none after all retries; it may another time. */
  | "unreachable";

/** What a server says about the completion that holds an answer; null where it says nothing. */
export interface AnswerSource {
  /** Name of the request at the provider. */
  readonly id: string | null;
  /** The model that answered: it may be a dated version of the one that was asked. */
  readonly model: string | null;
  /** The provider behind a gateway. */
  readonly provider: string | null;
  /** Configuration of the provider's servers: with another one, equal questions may get other answers. */
  readonly fingerprint: string | null;
  /** Null where the server accepts none, so that its own applies. */
  readonly temperature: 0 | null;
}

/** An `Outcome` with what a server says about its answer, or why there is none. */
export type Asked<T> =
  | { readonly kind: "answer"; readonly value: T; readonly source: AnswerSource | null }
  | { readonly kind: "none"; readonly reason: string; readonly cause: NoAnswer };
