// The way to the server for questions; stream.js has the one for events.

export class Refusal extends Error {
  constructor(status, answer) {
    super(answer.error || `the server answered ${status}`);
    this.status = status;
    this.answer = answer;
  }
}

// get asks the API. The error is a Refusal where the server said why.
export async function get(path, signal) {
  const response = await fetch('/api/v1/' + path, { signal, headers: { Accept: 'application/json' } });
  if (!response.ok) {
    let answer = {};
    try {
      answer = await response.json();
    } catch {
      /* not from our server */
    }
    throw new Refusal(response.status, answer);
  }
  return response.json();
}
