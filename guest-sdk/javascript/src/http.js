import * as host from "#host";
import { PattooError } from "./errors.js";
import { Misfit, check } from "./is.js";
import { decodeUtf8, encodeUtf8 } from "./utf8.js";

export class HttpError extends PattooError {
  constructor(request, { kind, reason = kind === "timeout" ? "the request timed out" : kind, status, limit }) {
    super(`${request.method} ${request.url}: ${reason}`);
    Object.assign(this, { request, kind, status, limit });
  }
}

export class Response {
  #request;

  constructor(status, { body = new Uint8Array(), headers = [], request = { method: "GET", url: "" } } = {}) {
    this.status = status;
    this.body = typeof body === "string" ? encodeUtf8(body) : body;
    this.headers = headers;
    this.#request = request;
  }

  get ok() {
    return this.status >= 200 && this.status < 300;
  }

  header(name) {
    return this.headers.find(([other]) => other === name.toLowerCase())?.[1];
  }

  text() {
    return decodeUtf8(this.body);
  }

  json(shape) {
    try {
      const value = JSON.parse(this.text());
      return shape === undefined ? value : check(value, shape);
    } catch (error) {
      if (error instanceof Misfit) {
        const what = error.at === "" ? "the response" : `\`${error.at}\` in the response`;
        throw new HttpError(this.#request, { kind: "json", reason: `${what} ${error.text}` });
      }
      throw new HttpError(this.#request, { kind: "json", reason: `the response is not JSON: ${error.message}` });
    }
  }

  throwForStatus() {
    if (this.ok) return this;
    throw new HttpError(this.#request, { kind: "status", reason: `the site answered ${this.status}`, status: this.status });
  }
}

export function fetch(request) {
  const [result] = fetchAll([request]);
  if (result.status === "rejected") throw result.reason;
  return result.value;
}

export function get(url, options = {}) {
  return fetch({ ...options, url });
}

export function post(url, options = {}) {
  return fetch({ ...options, url, method: "POST" });
}

export function fetchAll(requests) {
  const wanted = [...requests].map((request) => (typeof request === "string" ? { url: request, method: "GET" } : { method: "GET", ...request }));
  const results = host.fetchAll(wanted.map(lowered));
  return wanted.map((request, place) => {
    const result = results[place];
    return result.kind === undefined
      ? { status: "fulfilled", value: new Response(result.status, { ...result, request }) }
      : { status: "rejected", reason: new HttpError(request, result) };
  });
}

/** A request as the contract has it. */
function lowered({ url, method, headers = {}, body, json, timeout }) {
  const fields = Object.entries(headers).map(([name, value]) => [name, String(value)]);
  if (json !== undefined && !fields.some(([name]) => name.toLowerCase() === "content-type")) {
    fields.push(["content-type", "application/json"]);
  }
  const content = json === undefined ? body : JSON.stringify(json);
  return {
    url: String(url),
    method,
    headers: fields,
    body: typeof content === "string" ? encodeUtf8(content) : content,
    // Rounded up, so that a part of a millisecond is not no time at all.
    timeout: timeout === undefined ? undefined : Math.min(Math.max(Math.ceil(timeout), 0), 0x7fffffff),
  };
}
