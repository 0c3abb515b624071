// Sign in with Google by Firebase's REST calls: a page of Google's and back again, and no script of anybody else's.
// https://cloud.google.com/identity-platform/docs/reference/rest/v1/accounts

const PENDING = "stampchat.google";

/** Go to Google's page; it comes back to ours. */
export async function begin(firebase) {
  const asked = { providerId: "google.com", continueUri: `${location.origin}/` };
  const { authUri, sessionId } = await ask(firebase, "createAuthUri", asked);
  sessionStorage.setItem(PENDING, JSON.stringify({ sessionId, hash: location.hash }));
  location.assign(authUri);
}

/** Tell whether this is the way back from Google. */
export const isBack = () => sessionStorage.getItem(PENDING) !== null && new URLSearchParams(location.search).has("state");

/** Return the ID token that Google's answer is worth, and take that answer out of the address bar. */
export async function finish(firebase) {
  const { sessionId, hash } = JSON.parse(sessionStorage.getItem(PENDING));
  const requestUri = location.href.split("#")[0];
  sessionStorage.removeItem(PENDING);
  history.replaceState(null, "", `/${hash}`);
  const answer = { requestUri, sessionId, returnSecureToken: true, returnIdpCredential: false };
  return (await ask(firebase, "signInWithIdp", answer)).idToken;
}

async function ask({ identity, apiKey }, what, body) {
  let response;
  try {
    response = await fetch(`${identity}/v1/accounts:${what}?key=${encodeURIComponent(apiKey)}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
  } catch {
    throw new Error("Google does not answer; please try again.");
  }
  if (!response.ok) throw new Error("Google did not let you in; please try again.");
  return response.json();
}
