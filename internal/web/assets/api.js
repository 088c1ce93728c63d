// The way to the server for questions; stream.js has the one for events.

export class Refusal extends Error {
  constructor(status, answer) {
    super(answer.error || `the server answered ${status}`);
    this.status = status;
    this.answer = answer;
  }
}

// Unreachable is the error where no answer came, or only a part of it.
export class Unreachable extends Error {}

// heard turns what a browser throws where the server does not answer into an Unreachable.
async function heard(promise) {
  try {
    return await promise;
  } catch (error) {
    throw error.name === 'AbortError' ? error : new Unreachable(error.message);
  }
}

// get asks the API. The error is a Refusal where the server said why.
export async function get(path, signal) {
  const response = await heard(fetch('/api/v1/' + path, { signal, headers: { Accept: 'application/json' } }));
  if (!response.ok) {
    let answer = {};
    try {
      answer = await response.json();
    } catch {
      /* not from our server */
    }
    throw new Refusal(response.status, answer);
  }
  return heard(response.json());
}
