/** Signalling with the process: requests towards it, server-sent events back. */

/** The process refused something; `name` is that of a DOM exception. */
export class Refused extends Error {
  constructor({ name, message }) {
    super(message);
    this.name = name;
  }
}

/** No answer: the process has ended, or the network is down. */
export class Unreachable extends Error {
  name = 'NetworkError';
}

async function request(method, path, body, keepalive = false) {
  const headers = body ? { 'content-type': 'application/json' } : {};
  let response;
  try {
    response = await fetch(path, { method, headers, body: body && JSON.stringify(body), keepalive });
  } catch {
    throw new Unreachable('The server is gone: is the process still running?');
  }
  if (!response.ok) {
    const refusal = { name: 'NetworkError', message: `HTTP status ${response.status}` };
    throw new Refused(await response.json().catch(() => refusal));
  }
  return response.status === 204 ? null : response.json();
}

/** One exchange of an offer, an answer and candidates. */
export class Session {
  #id;
  #events;

  /** Gives the session and the answer. */
  static async open(offer) {
    const { id, answer } = await request('POST', 'sessions', offer);
    const session = new Session();
    session.#id = id;
    return { session, answer };
  }

  sendCandidate(candidate) {
    return request('POST', `sessions/${this.#id}/candidates`, candidate);
  }

  /**
   * @param {(candidate: RTCIceCandidateInit) => void} onCandidate each candidate of the process, perhaps again
   * @param {(state: object) => void} onState how the process sees the connection, whenever it changes
   * @param {() => void} onLost the events broke off; the browser tries again until `close`
   */
  listen(onCandidate, onState, onLost) {
    this.#events = new EventSource(`sessions/${this.#id}/events`);
    this.#events.addEventListener('candidate', (event) => onCandidate(JSON.parse(event.data)));
    this.#events.addEventListener('state', (event) => onState(JSON.parse(event.data)));
    this.#events.addEventListener('error', onLost);
  }

  /** Tells the process, also when the page is being left. The connection ends without it, too, only later. */
  close() {
    this.#events?.close();
    return request('DELETE', `sessions/${this.#id}`, null, true).catch(() => {});
  }
}
