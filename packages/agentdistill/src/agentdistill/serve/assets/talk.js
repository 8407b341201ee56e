// What a reload must not lose: the talk, the key, what is being typed. Kept for this tab only, and gone with it.

const TALK = 'agentdistill-talk', KEY = 'agentdistill-key', VERSION = 1;

function recall(name) {
  try { return JSON.parse(sessionStorage.getItem(name)); } catch { return null; }
}

/** Whether the browser has kept it: it may keep nothing at all, or have no room left. */
function keep(name, value) {
  try { sessionStorage.setItem(name, JSON.stringify(value)); return true; } catch { return false; }
}

export const recallKey = () => recall(KEY) || '';
export const keepKey = (key) => keep(KEY, key);

/** A new talk. Its name is hard to guess: whoever knows it can go on with its session on the server. */
export function newTalk() {
  const name = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
  return { version: VERSION, name, how: '', draft: '', turns: [] };
}

/** The talk that this tab held before a reload or on the way back, or null: who opens the address anew begins anew. */
export function recallTalk() {
  const [arrival] = performance.getEntriesByType('navigation');
  if (!arrival || arrival.type === 'navigate') return null;
  const talk = recall(TALK);
  return talk && talk.version === VERSION && Array.isArray(talk.turns) ? talk : null;
}

/** Keep the talk. Where it is too long for the browser, the steps of the oldest answers go first, never the answers. */
export function keepTalk(talk) {
  const turns = talk.turns.map((turn) => ({ ...turn }));
  if (keep(TALK, { ...talk, turns })) return;
  for (const turn of turns) {
    turn.told = [];
    if (keep(TALK, { ...talk, turns })) return;
  }
}

/** What was asked and answered, as the server is told it: a question without an answer is none of it. */
export const messagesOf = (turns) => turns.filter((turn) => turn.text !== undefined && turn.problem === undefined)
  .flatMap((turn) => [{ role: 'user', content: turn.question }, { role: 'assistant', content: turn.text }]);

/** Take note of what happened in a turn: a step replaces what was told while it was being written. */
export function note(turn, told) {
  if (told.step) turn.told = turn.told.filter((t) => !t.wrote || t.candidate !== told.candidate);
  const { verification: v } = told;
  turn.told.push(v ? { verification: { ...v, candidates: v.candidates.map(({ verdicts }) => ({ verdicts })) } } : told);
}
