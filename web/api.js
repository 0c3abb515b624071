// Call the services. Whatever goes wrong becomes one plain sentence and a word for the program.

const SECONDS = 15;

/** A call that did not succeed; `code` is the service's word for it, or "offline" where nobody answered. */
export class Failure extends Error {
  constructor(message, code, status = 0) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** How far this device's clock is behind the server's, in milliseconds, as the last answer told. */
export const clock = { behind: 0 };

/** Call a path, with a bearer where there is one; returns the answer's JSON. */
export async function call(method, path, { body, token } = {}) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  let response;
  let answer;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      signal: AbortSignal.timeout(SECONDS * 1000),
    });
    answer = await response.json().catch(() => ({}));
  } catch {
    throw new Failure("The server does not answer; please try again in a moment.", "offline");
  }
  const date = Date.parse(response.headers.get("Date") ?? "");
  if (date) clock.behind = date - Date.now();
  if (response.ok) return answer;
  const error = answer.error ?? {};
  // A gateway whose service is away has no words of ours.
  if (response.status === 502 || response.status === 504 || !error.message) {
    throw new Failure("The server does not answer; please try again in a moment.", "offline", response.status);
  }
  throw new Failure(error.message, error.code ?? "failed", response.status);
}
