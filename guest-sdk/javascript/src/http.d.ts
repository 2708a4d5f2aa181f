import { PattooError } from "./errors.js";
import type { Checked, Shape } from "./is.js";

/**
 * Fetching from web origins that were granted.
 *
 * An *origin* is scheme, host and port. One that was not granted is denied before its name is looked up. Redirects are followed,
 * each hop checked against the grant. Secrets that the operator attaches (an API token, say) are added by the runtime and
 * never shown to the collector.
 */

/** What may be said about a request beside its URL. */
export interface Options {
  /** Those that belong to the connection (`host`, `content-length` and their kind) and those that the operator attached are refused. */
  headers?: Record<string, string>;
  /** What to send, at most 1 MiB unless set. */
  body?: string | Uint8Array;
  /** What to send as JSON, with the `content-type` that belongs to it. */
  json?: unknown;
  /** Milliseconds for the whole fetch, redirects included. The runtime's own limit (10 seconds unless set) holds when it is shorter. */
  timeout?: number;
}

export interface Request extends Options {
  /** An absolute URL with scheme `http` or `https`. */
  url: string;
  /** In capitals; `GET` unless given. Only `GET` and `HEAD` are granted unless the operator set it otherwise. */
  method?: string;
}

/** What came back. Every status is a response, 404 and 500 too. */
export class Response {
  readonly status: number;
  /** Whether the status is one of success: 200 to 299. */
  readonly ok: boolean;
  /** Names and values in the order in which they came, names in lower case. */
  readonly headers: readonly (readonly [string, string])[];
  /** The whole body, already decompressed unless the request set `accept-encoding` itself. */
  readonly body: Uint8Array;
  /** The value of a header, in any case of letters; the first one if there are several. */
  header(name: string): string | undefined;
  /** The body as text. What is not UTF-8 in it becomes `U+FFFD`. */
  text(): string;
  /** The body, read as JSON. Throws an `HttpError` if it is none. Whole numbers beyond 2^53 lose digits, as always in JavaScript. */
  json(): any;
  /** The same, held against a shape as with `settings`. */
  json<S extends Shape>(shape: S): Checked<S>;
  /** Throws an `HttpError` unless the status is one of success; else gives back the response itself. */
  throwForStatus(): this;
}

/** Fetches one request, or a URL with `GET`. Throws an `HttpError` if there is no response. */
export function fetch(request: Request | string): Response;
/** Fetches a page with `GET`. */
export function get(url: string, options?: Pick<Options, "headers" | "timeout">): Response;
/** Posts a body. The operator has to grant `POST` expressly. */
export function post(url: string, options?: Options): Response;

/** A response, or why there is none: as `Promise.allSettled` has it. */
export type Settled = { status: "fulfilled"; value: Response } | { status: "rejected"; reason: HttpError };

/** Fetches many at once. There is one result for each request, in the same order; a dead site costs its own results only. */
export function fetchAll(requests: Iterable<Request | string>): Settled[];

/** There is no response, or not the one that was wanted. */
export class HttpError extends PattooError {
  readonly request: Request;
  /** `status` and `json` come of `throwForStatus` and `json`, when there is a response. */
  readonly kind:
    | "denied"
    | "invalid"
    | "timeout"
    | "connection"
    | "tls"
    | "too-large"
    | "redirects"
    | "quota"
    | "other"
    | "status"
    | "json";
  /** The status, where that is why. */
  readonly status: number | undefined;
  /** The limit that a response or its redirects went beyond. */
  readonly limit: number | undefined;
}
