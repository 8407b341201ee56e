// The server, as the page asks it. Every failure is an Error whose message can be shown to the user.

const AGAIN_MS = 400, MOST_TRIES = 25;

export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// A header holds bytes, not characters: the key goes as UTF-8, as the server compares it.
const bearer = (key) => `Bearer ${String.fromCharCode(...new TextEncoder().encode(key))}`;

async function call(path, key, options) {
  const headers = { 'Content-Type': 'application/json', ...(key ? { Authorization: bearer(key) } : {}) };
  let reply;
  try {
    reply = await fetch(path, { ...options, headers });
  } catch (e) {
    if (e.name === 'AbortError') throw e;
    throw new Error('The server cannot be reached. Is it still running?');
  }
  if (reply.ok) return reply;
  let said = reply.statusText || `The server answered with status ${reply.status}.`;
  try { said = (await reply.json()).error.message || said; } catch { /* no JSON: the status has to do */ }
  const wait = reply.headers.get('Retry-After');
  throw new Refused(said + (wait ? ` (try again in about ${wait} s)` : ''), reply.status);
}

/** The names that can be asked for; the first is the agent's. */
export async function models(key) {
  return (await (await call('v1/models', key)).json()).data.map((m) => m.id);
}

/** The reply to a chat. What the user has just stopped may occupy the conversation for a moment: that is waited for. */
async function begin(key, body, signal) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await call('v1/chat/completions', key, { method: 'POST', signal, body: JSON.stringify(body) });
    } catch (e) {
      if (e.status !== 409 || tries === MOST_TRIES) throw e;
      await new Promise((go) => { setTimeout(go, AGAIN_MS); });
    }
  }
}

/** The chunks of an answer, as they come. */
export async function* chat(key, body, signal) {
  const reply = await begin(key, body, signal);
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read().catch((e) => {
      throw signal.aborted ? e : new Error('The connection was lost before the answer was complete.');
    });
    if (done) throw new Error('The server ended the answer early.');
    const parts = (rest + value).split('\n\n');
    rest = parts.pop();
    for (const part of parts) {
      if (!part.startsWith('data: ')) continue;
      if (part === 'data: [DONE]') return;
      const data = JSON.parse(part.slice(6));
      if (data.error) throw new Error(data.error.message);
      yield data;
    }
  }
}
