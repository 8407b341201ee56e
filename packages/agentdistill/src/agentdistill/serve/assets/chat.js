'use strict';
// A conversation with the agent. Whatever it or a user wrote reaches the page through textContent, never as markup.
(() => {
  const $ = (id) => document.getElementById(id);
  const STATUS = { ok: 'ran', final: 'answered', no_code: 'no code block', syntax: 'syntax error', exception: 'exception', timeout: 'timeout', limit: 'limit reached' };
  let key = '', model = '', name = '', history = [], running = null;

  function el(tag, className, content) {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (content !== undefined) node.textContent = content;
    return node;
  }

  const visible = (s) => s.replace(/[\u0000-\u0008\u000b-\u001f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
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

  function candidate(c) {
    const box = el('div', 'call-box');
    if (c.status) box.append(el('p', 'status', STATUS[c.status] || c.status));
    if (c.thought) box.append(el('p', 'thought', visible(c.thought)));
    const source = codeOf(c.content);
    if (source) box.append(python(visible(source.trimEnd())));
    if (c.observation) box.append(el('pre', 'observed', visible(c.observation)));
    return box;
  }

  class Turn {
    constructor(number) {
      this.node = el('section', 'turn');
      this.head = el('h4', 'busy', `Step ${number}`);
      this.body = el('div');
      this.node.append(this.head, this.body);
      this.written = [];
    }

    wrote(replies) {
      this.written.push(...replies);
      const [only] = this.written;
      if (this.written.length === 1 && replies.length === 1) {
        this.body.replaceChildren(...this.words(only.thought, codeOf(only.content)));
      } else {
        const open = fold(`${this.written.length} candidates written, each tried on its own`, ...this.written.map(candidate));
        open.className = 'written';
        this.body.replaceChildren(open);
      }
    }

    words(thought, source) {
      const out = [el('p', 'thought', visible(thought || '(no thought)'))];
      if (source) out.push(python(visible(source.trimEnd())));
      return out;
    }

    done(step) {
      this.head.classList.remove('busy');
      this.head.append(el('span', 'status', STATUS[step.status] || step.status));
      if (!['ok', 'final'].includes(step.status)) this.node.classList.add('failed');
      const parts = this.words(step.thought, step.code);
      if (step.observation !== null) parts.push(el('pre', 'observed', visible(step.observation)));
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

  // --- the server ----------------------------------------------------------------------------------------------------

  const headers = () => ({ 'Content-Type': 'application/json', ...(key ? { Authorization: `Bearer ${key}` } : {}) });

  async function problem(reply) {
    let said = reply.statusText;
    try { said = (await reply.json()).error.message; } catch { /* no JSON: the status has to do */ }
    const wait = reply.headers.get('Retry-After');
    return new Error(said + (wait ? ` (try again in about ${wait} s)` : ''));
  }

  async function* events(reply) {
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Error('the server ended the answer early');
      rest += value;
      const parts = rest.split('\n\n');
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

  async function connect() {
    const reply = await fetch('v1/models', { headers: headers() });
    $('unlock').hidden = reply.status !== 401;
    if (reply.status === 401) { $('key').focus(); return; }
    if (!reply.ok) throw await problem(reply);
    const names = (await reply.json()).data.map((m) => m.id);
    model = names[0];
    for (const option of $('how').options) option.hidden = option.disabled = !names.includes(model + option.value);
    $('name').textContent = model;
    document.title = `Talk to ${model}`;
    say('');
  }

  const say = (text) => { $('state').textContent = text; };

  // --- the conversation ----------------------------------------------------------------------------------------------

  function begin() {
    if (running) running.abort();
    name = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
    history = [];
    $('turns').replaceChildren();
    $('lede').hidden = false;
    $('question').focus();
  }

  function follow() {
    if (window.innerHeight + window.scrollY > document.body.scrollHeight - 260) window.scrollTo(0, document.body.scrollHeight);
  }

  const count = (n, one, many) => `${n} ${n === 1 ? one : many}`;

  async function answer(question, item) {
    const box = el('div');
    item.append(box);
    const main = new Track(box), tried = [];
    let text = '', finish = null, usage = null;
    const candidate = (i) => (tried[i] ||= new Tried(i, box));
    const reply = await fetch('v1/chat/completions', {
      method: 'POST', headers: headers(), signal: running.signal,
      body: JSON.stringify({
        model: model + $('how').value, stream: true, stream_options: { include_usage: true },
        conversation: name, messages: [...history, { role: 'user', content: question }],
      }),
    });
    if (!reply.ok) throw await problem(reply);
    say('at work');
    for await (const chunk of events(reply)) {
      if (chunk.usage) usage = chunk.usage;
      const told = chunk.agent || {};
      (told.candidate === undefined ? main : candidate(told.candidate).track).take(told);
      if (told.ended) candidate(told.candidate).ended(told.ended);
      if (told.verification) box.append(verdict(told.verification, tried));
      for (const { delta, finish_reason } of chunk.choices) {
        text += delta.content || '';
        finish = finish_reason || finish;
      }
      follow();
    }
    item.append(el('p', finish === 'stop' ? 'answer' : 'answer none', visible(text)));
    const done = tried.length ? count(tried.length, 'trajectory', 'trajectories') : count(main.number, 'step', 'steps');
    if (usage) item.append(el('p', 'cost', `${done} · ${usage.prompt_tokens.toLocaleString('en')} tokens read · ${usage.completion_tokens.toLocaleString('en')} written`));
    history.push({ role: 'user', content: question }, { role: 'assistant', content: text });
  }

  async function ask(question) {
    running = new AbortController();
    const mine = running;
    const item = el('li');
    item.append(el('p', 'asked', visible(question)));
    $('turns').append(item);
    $('lede').hidden = true;
    $('send').hidden = true;
    $('stop').hidden = false;
    say('asking');
    try {
      await answer(question, item);
    } catch (e) {
      item.append(el('p', 'answer failed', mine.signal.aborted ? 'Stopped.' : visible(e.message)));
      if (item.isConnected && !$('question').value) write(question);
    }
    for (const left of item.querySelectorAll('.busy')) left.classList.remove('busy');
    if (running === mine) {
      running = null;
      $('send').hidden = false;
      $('stop').hidden = true;
      say('');
    }
    follow();
    $('question').focus();
  }

  function submit() {
    const question = $('question').value.trim();
    if (!question || running || !model) return;
    write('');
    ask(question);
  }

  function write(question) {
    $('question').value = question;
    grow();
  }

  function grow() {
    $('question').style.height = 'auto';
    $('question').style.height = `${$('question').scrollHeight + 2}px`;
  }

  function themes() {
    const button = $('theme');
    const order = ['auto', 'light', 'dark'];
    let at = 0;
    const paint = () => {
      document.documentElement.dataset.theme = order[at];
      button.textContent = { auto: '◐ auto', light: '☀ light', dark: '☾ dark' }[order[at]];
      button.setAttribute('aria-label', `Colour theme: ${order[at]}. Change`);
    };
    button.addEventListener('click', () => { at = (at + 1) % order.length; paint(); });
    paint();
  }

  $('ask').addEventListener('submit', (e) => { e.preventDefault(); submit(); });
  $('question').addEventListener('input', grow);
  $('question').addEventListener('keydown', (e) => {
    if (e.key === 'Enter' && !e.shiftKey && !e.isComposing) { e.preventDefault(); submit(); }
  });
  $('stop').addEventListener('click', () => running && running.abort());
  $('new').addEventListener('click', begin);
  $('unlock').addEventListener('submit', (e) => { e.preventDefault(); key = $('key').value; connect().catch((x) => say(x.message)); });
  themes();
  begin();
  connect().catch((e) => say(e.message));
})();
