// What the agent does for an answer. Whatever it or a user wrote reaches the page through textContent, never as markup.

import { copyButton } from './copy.js';

const STATUS = { ok: 'ran', final: 'answered', no_code: 'no code block', syntax: 'syntax error', exception: 'exception', timeout: 'timeout', limit: 'limit reached' };

export function el(tag, className, content) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (content !== undefined) node.textContent = content;
  return node;
}

export const visible = (s) => s.replace(/[\u0000-\u0008\u000b-\u001f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
  (c) => c < ' ' ? String.fromCharCode(0x2400 + c.charCodeAt(0)) : '\ufffd');

const TOKENS = /(#[^\n]*)|("""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)|\b(and|as|assert|break|class|continue|def|del|elif|else|except|False|finally|for|from|if|import|in|is|lambda|None|not|or|pass|raise|return|True|try|while|with|yield)\b|\b(\d[\w.]*)|([A-Za-z_]\w*)(?=\()/g;
const CLASSES = ['comment', 'string', 'keyword', 'number', 'call'];

function python(source) {
  const node = el('pre', 'source');
  let last = 0;
  for (const m of source.matchAll(TOKENS)) {
    node.append(source.slice(last, m.index), el('span', CLASSES[m.slice(1).findIndex((g) => g !== undefined)], m[0]));
    last = m.index + m[0].length;
  }
  node.append(source.slice(last));
  return node;
}

function fold(summary, ...children) {
  const node = el('details');
  node.append(el('summary', '', summary), ...children);
  return node;
}

// --- what the agent does -------------------------------------------------------------------------------------------

const codeOf = (content) => (content.match(/```\w*\s*\n([\s\S]*?)(?:```|$)/) || content.match(/<code>([\s\S]*?)(?:<\/code>|$)/) || [])[1];

// The protocol's own word before it stands for what the page shows by its looks.
const observed = (text) => el('pre', 'observed', visible(text.replace(/^Observation:\s*/, '')));

// A paragraph of the agent's or the user's words, in the direction of their script.
export function words(tag, className, text) {
  const node = el(tag, className, visible(text));
  node.dir = 'auto';
  return node;
}

function candidate(c) {
  const box = el('div', 'call-box');
  if (c.status) box.append(el('p', 'status', STATUS[c.status] || c.status));
  if (c.thought) box.append(words('p', 'thought', c.thought));
  const source = codeOf(c.content);
  if (source) box.append(python(visible(source.trimEnd())));
  if (c.observation) box.append(observed(c.observation));
  return box;
}

class Turn {
  constructor(number) {
    this.node = el('section', 'turn');
    this.number = number;
    this.head = el('div', 'head');
    this.title = el('h3', 'busy', `Step ${number}`);
    this.head.append(this.title);
    this.body = el('div');
    this.node.append(this.head, this.body);
    this.written = [];
  }

  wrote(replies) {
    this.written.push(...replies);
    const [only] = this.written;
    if (this.written.length === 1 && replies.length === 1) {
      this.body.replaceChildren(...this.said(only.thought, codeOf(only.content)));
    } else {
      const open = fold(`${this.written.length} candidates written, each tried on its own`, ...this.written.map(candidate));
      open.className = 'written';
      this.body.replaceChildren(open);
    }
  }

  said(thought, source) {
    const out = [words('p', 'thought', thought || '(no thought)')];
    if (source) out.push(python(visible(source.trimEnd())));
    return out;
  }

  done(step) {
    this.title.classList.remove('busy');
    this.title.append(el('span', 'status', STATUS[step.status] || step.status));
    if (step.code) this.head.append(copyButton(`code of step ${this.number}`, step.code));
    if (!['ok', 'final'].includes(step.status)) this.node.classList.add('failed');
    const parts = this.said(step.thought, step.code);
    if (step.observation !== null) parts.push(observed(step.observation));
    if (step.tool_calls.length) {
      const names = [...new Set(step.tool_calls.map((c) => c.name))].join(', ');
      parts.push(fold(`${step.tool_calls.length} tool call${step.tool_calls.length > 1 ? 's' : ''}: ${names}`, ...step.tool_calls.map((c) => {
        const box = el('div', 'call-box');
        box.append(el('pre', 'args', visible(`${c.name}(${c.arguments})`)), el('pre', c.ok ? 'result' : 'result bad', visible(c.result)));
        return box;
      })));
    }
    if (step.candidates.length) {
      const n = step.candidates.length;
      parts.push(fold(`${n} candidate${n > 1 ? 's' : ''} tried and not chosen`, ...step.candidates.map(candidate)));
    }
    this.body.replaceChildren(...parts);
  }
}

// One trajectory: its turns, one after the other.
class Track {
  constructor(box) {
    this.box = box;
    this.turn = null;
    this.number = 0;
  }

  take({ wrote, step }) {
    if (!wrote && !step) return;
    if (!this.turn) { this.number += 1; this.turn = new Turn(this.number); this.box.append(this.turn.node); }
    if (wrote) this.turn.wrote(wrote);
    if (step) { this.turn.done(step); this.turn = null; }
  }
}

// One of several trajectories that are tried side by side, folded under its answer.
class Tried {
  constructor(place, box) {
    this.place = place;
    this.summary = el('summary', 'busy', `Candidate ${place + 1}`);
    this.node = el('details', 'candidate');
    this.node.append(this.summary);
    this.track = new Track(this.node);
    const after = [...box.querySelectorAll(':scope > .candidate')].find((c) => Number(c.dataset.place) > place);
    this.node.dataset.place = place;
    box.insertBefore(this.node, after || null);
  }

  ended({ answer }) {
    this.summary.classList.remove('busy');
    this.summary.append(el('span', answer === null ? 'none' : 'said', answer === null ? 'no answer' : visible(answer)));
  }

  checked({ verdicts }, wins) {
    this.summary.classList.remove('busy');
    const counts = {};
    for (const v of verdicts) counts[v] = (counts[v] || 0) + 1;
    const said = Object.entries(counts).map(([v, n]) => `${n} ${v.replace('_', ' ')}`).join(', ');
    this.summary.append(el('span', 'status', said ? `checks: ${said}` : 'not checked'));
    this.node.classList.toggle('chosen', wins);
    this.node.open = wins;
  }
}

function verdict(choice, tried) {
  choice.candidates.forEach((c, i) => tried[i] && tried[i].checked(c, i === choice.chosen));
  const which = choice.chosen === null ? 'None chosen' : `Candidate ${choice.chosen + 1} chosen`;
  return el('p', 'why', `${which}: ${visible(choice.reason)}`);
}

const count = (n, one, many) => `${n} ${n === 1 ? one : many}`;

/** A question, what is done for it, and what comes of it. `announce` is told of every step once, in a few words. */
export class View {
  constructor(turn, announce = () => {}) {
    this.announce = announce;
    this.box = el('div');
    this.work = fold('Steps', this.box);
    this.work.className = 'work';
    this.work.open = true;
    this.work.hidden = true;
    this.working = el('p', 'working busy', 'At work');
    this.node = el('li');
    this.node.append(words('h2', 'asked', turn.question), this.work, this.working);
    this.main = new Track(this.box);
    this.tried = [];
    for (const told of turn.told) this.take(told);
  }

  candidate(place) { return (this.tried[place] ||= new Tried(place, this.box)); }

  take(told) {
    const place = told.candidate;
    (place === undefined ? this.main : this.candidate(place).track).take(told);
    if (told.ended) this.candidate(place).ended(told.ended);
    if (told.verification) this.box.append(verdict(told.verification, this.tried));
    this.work.hidden = !this.box.childElementCount;
    this.work.firstChild.textContent = this.did;
    if (told.ended) this.announce(`Candidate ${place + 1} of ${this.tried.length} has ended.`);
    else if (told.step && place === undefined && told.step.status !== 'final') {
      this.announce(`Step ${this.main.number}: ${STATUS[told.step.status] || told.step.status}.`);
    }
  }

  /** What was done so far, in a few words. */
  get did() {
    const n = this.tried.filter(Boolean).length;
    return n ? count(n, 'trajectory', 'trajectories') : count(this.main.number, 'step', 'steps');
  }

  /** Show what came of the question: an answer, or the problem that stands in for one. Returns its node. */
  end(turn) {
    this.working.remove();
    for (const left of this.node.querySelectorAll('.busy')) left.classList.remove('busy');
    const failed = turn.problem !== undefined, said = failed ? turn.problem : turn.text || '(an empty answer)';
    const none = turn.finish !== 'stop' || !turn.text;
    const result = el('div', 'outcome'), after = el('div', 'after');
    result.setAttribute('role', 'group');
    result.setAttribute('aria-label', failed ? 'No answer' : 'Answer');
    if (turn.cost) after.append(el('p', 'cost', turn.cost));
    if (!failed && turn.text) after.append(copyButton('answer', turn.text));
    result.append(words('p', `answer${failed ? ' failed' : none ? ' none' : ''}`, said), after);
    this.node.append(result);
    return result;
  }
}
