'use strict';
// The episode browser. Everything from a trace reaches the page through textContent, never as markup.
(() => {
  const PAGE = 40;
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($('data').textContent);
  const text = (i) => data.strings[i];
  const OUTCOMES = { right: '✓', wrong: '✗', unscored: '?', fault: '!' };
  const ENDS = { answered: 'answered', no_answer: 'no answer', out_of_steps: 'out of steps', out_of_context: 'out of context', fault: 'fault' };
  const STATUS = { ok: 'ran', final: 'answered', no_code: 'no code block', syntax: 'syntax error', exception: 'exception', timeout: 'timeout', limit: 'limit reached' };
  let shown = data.traces, page = 0, current = null, highlight = true;

  function el(name, className, content) {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (content !== undefined) node.textContent = content;
    return node;
  }

  // Control characters are made visible, one for one, so that offsets stay true.
  const visible = (s) => s.replace(/[\u0000-\u0008\u000b-\u001f]/g, (c) => String.fromCharCode(0x2400 + c.charCodeAt(0)));

  const TOKENS = /(#[^\n]*)|("""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)|\b(and|as|assert|break|class|continue|def|del|elif|else|except|False|finally|for|from|if|import|in|is|lambda|None|not|or|pass|raise|return|True|try|while|with|yield)\b|\b(\d[\w.]*)|([A-Za-z_]\w*)(?=\()/g;
  const TOKEN_CLASSES = ['comment', 'string', 'keyword', 'number', 'call'];

  function code(source) {
    const node = el('span', 'code');
    let last = 0;
    for (const m of source.matchAll(TOKENS)) {
      node.append(source.slice(last, m.index));
      node.append(el('span', TOKEN_CLASSES[m.slice(1).findIndex((g) => g !== undefined)], m[0]));
      last = m.index + m[0].length;
    }
    node.append(source.slice(last));
    return node;
  }

  function reply(step) {
    const content = visible(text(step.c));
    const node = el('pre', 'said');
    const body = el('span', 'learned');
    const prefix = step.px || 0;
    if (prefix) {
      const given = el('span', 'prefix', content.slice(0, prefix));
      given.title = 'given to the model as the beginning of its thought';
      body.append(given);
    }
    if (step.k) {
      const [from, to] = step.k;
      body.append(content.slice(prefix, Math.max(from, prefix)), code(content.slice(Math.max(from, prefix), to)), content.slice(to));
    } else {
      body.append(content.slice(prefix));
    }
    const end = el('span', 'eot', '⏎');
    end.title = 'end of turn, learned too';
    body.append(end);
    node.append(body);
    return node;
  }

  function fold(summary, ...children) {
    const node = el('details');
    node.append(el('summary', '', summary), ...children);
    return node;
  }

  function turn(step, number) {
    const failed = !['ok', 'final'].includes(step.s);
    const node = el('section', 'turn' + (failed ? ' failed' : ''));
    const head = el('h4', '', `Step ${number}`);
    head.append(el('span', 'status', STATUS[step.s] || step.s));
    if (step.e === 'length') head.append(el('span', 'status bad', 'cut off at the length limit'));
    node.append(head, reply(step));
    if (step.o !== undefined) node.append(el('pre', 'observed', visible(text(step.o))));
    if (step.tc) {
      node.append(fold(`${step.tc.length} tool call${step.tc.length > 1 ? 's' : ''}: ${[...new Set(step.tc.map((c) => c[0]))].join(', ')}`,
        ...step.tc.map(([name, args, result, ok]) => {
          const call = el('div', 'call-box');
          call.append(el('pre', 'args', visible(`${name}(${text(args)})`)), el('pre', ok ? 'result' : 'result bad', visible(text(result))));
          return call;
        })));
    }
    if (step.cd) {
      node.append(fold(`${step.cd.length} candidate${step.cd.length > 1 ? 's' : ''} tried and not chosen`,
        ...step.cd.map(([content, status, observation]) => {
          const box = el('div', 'call-box');
          box.append(el('p', 'status', STATUS[status] || status), el('pre', 'said', visible(text(content))), el('pre', 'observed', visible(text(observation))));
          return box;
        })));
    }
    return node;
  }

  function facts(t) {
    const list = el('dl', 'facts');
    const add = (name, value, className) => list.append(el('dt', '', name), el('dd', className || '', visible(value)));
    add('Answer', t.a === null ? '(none)' : text(t.a), t.o);
    add('Gold', t.g.map(text).join('  or  '));
    if (t.sc) add('Grader', `${t.sc[1]}: ${text(t.sc[2]) || (t.o === 'right' ? 'accepted' : 'rejected')}`);
    if (t.x !== undefined) add('Fault', text(t.x), 'fault');
    add('Ended', ENDS[t.n] || t.n);
    const [requests, prompt, fresh, cut] = t.u.map((n) => n.toLocaleString('en'));
    add('Used', `requests ${requests} · prompt tokens ${prompt} · new tokens ${fresh}` + (t.u[3] ? ` · replies cut off ${cut}` : ''));
    add('Id', t.i);
    return list;
  }

  function toggle() {
    const label = el('label', 'toggle');
    const box = el('input');
    box.type = 'checkbox';
    box.id = 'trained';
    box.checked = highlight;
    box.addEventListener('change', () => { highlight = box.checked; $('episode').classList.toggle('highlight', highlight); });
    label.append(box, ' mark what students were trained on', el('span', 'key', 'sampled by the teacher'), el('span', 'key given', 'given to it as a first thought'));
    return label;
  }

  function show(t, focus) {
    current = t;
    const source = data.sources[t.s];
    const node = $('episode');
    node.className = (t.k ? 'trained ' : '') + (highlight ? 'highlight' : '');
    const head = el('header');
    const kicker = el('p', 'kicker', `${source.label} · ${data.families[t.f]} · ${source.stage}`);
    head.append(kicker, el('h3', '', visible(text(t.q))));
    const badges = el('p', 'badges');
    badges.append(el('span', `badge ${t.o}`, `${OUTCOMES[t.o]} ${t.o}`));
    if (t.k) badges.append(el('span', 'badge kept', 'kept for training'), toggle());
    head.append(badges, facts(t));
    const prompt = fold('The prompt', ...t.p.map(([role, i]) => {
      const box = el('div', 'call-box');
      box.append(el('p', 'status', role), el('pre', '', visible(text(i))));
      return box;
    }));
    const back = el('button', 'back', '← all episodes');
    back.type = 'button';
    back.addEventListener('click', () => $('filters').scrollIntoView());
    node.replaceChildren(back, head, prompt, ...t.st.map((s, i) => turn(s, i + 1)));
    for (const b of $('list').querySelectorAll('button')) b.setAttribute('aria-current', String(b.trace === t));
    history.replaceState(null, '', '#episode=' + encodeURIComponent(`${source.key}/${t.i}`));
    node.scrollTop = 0;
    if (focus && matchMedia('(max-width: 800px)').matches) node.scrollIntoView({ behavior: 'instant' });
  }

  function row(t) {
    const item = el('li');
    const button = el('button', 'row ' + t.o);
    button.type = 'button';
    button.trace = t;
    button.append(el('span', 'mark', OUTCOMES[t.o]), el('span', 'question', visible(text(t.q).slice(0, 300))));
    const n = t.st.length;
    button.append(el('span', 'meta', `${data.sources[t.s].label} · ${data.families[t.f]} · ${n} step${n === 1 ? '' : 's'}`));
    button.setAttribute('aria-label', `${t.o}: ${visible(text(t.q).slice(0, 300))}`);
    button.setAttribute('aria-current', String(t === current));
    button.addEventListener('click', () => show(t, true));
    item.append(button);
    return item;
  }

  function list() {
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    page = Math.min(Math.max(page, 0), pages - 1);
    $('list').replaceChildren(...shown.slice(page * PAGE, (page + 1) * PAGE).map(row));
    const right = shown.filter((t) => t.o === 'right').length;
    const scored = shown.filter((t) => t.o === 'right' || t.o === 'wrong').length;
    $('count').textContent = `${shown.length.toLocaleString('en')} episode${shown.length === 1 ? '' : 's'}` + (scored ? `, ${right.toLocaleString('en')} of ${scored.toLocaleString('en')} scored are right` : '');
    $('page').textContent = `${page + 1} of ${pages}`;
    $('previous').disabled = page === 0;
    $('next').disabled = page === pages - 1;
  }

  const haystacks = new Map();
  function haystack(t) {
    if (!haystacks.has(t)) {
      const at = [t.q, t.a, t.x, ...t.g, ...(t.sc ? [t.sc[0], t.sc[2]] : [])];
      for (const s of t.st) at.push(s.c, s.o, ...(s.tc || []).flatMap((c) => [c[1], c[2]]), ...(s.cd || []).flatMap((c) => [c[0], c[2]]));
      haystacks.set(t, (t.i + '\n' + at.filter((i) => typeof i === 'number').map(text).join('\n')).toLowerCase());
    }
    return haystacks.get(t);
  }

  function has(list_, wanted) {
    return wanted === '' || (wanted === 'none' ? list_.length === 0 : list_.includes(wanted));
  }

  function filter() {
    const [source, family, outcome, error, tool] = ['source', 'family', 'outcome', 'error', 'tool'].map((n) => $('f-' + n).value);
    const words = $('f-text').value.trim().toLowerCase();
    shown = data.traces.filter((t) =>
      (source === '' || t.s === Number(source)) && (family === '' || t.f === Number(family)) &&
      (outcome === '' || t.o === outcome) && has(t.e, error) && has(t.t, tool) &&
      (words === '' || haystack(t).includes(words)));
    page = 0;
    list();
  }

  function options(id, pairs) {
    for (const [value, label] of pairs) {
      const option = el('option', '', label);
      option.value = value;
      $(id).append(option);
    }
  }

  function fill() {
    const used = (key) => [...new Set(data.traces.flatMap((t) => t[key]))].sort();
    const both = (s) => data.sources.filter((o) => o.label === s.label).length > 1;
    options('f-source', data.sources.map((s, i) => [i, s.label + (both(s) ? ` (${s.stage}, ${s.key.split('/')[1]})` : '')]));
    options('f-family', data.families.map((f, i) => [i, f]));
    options('f-outcome', used('o').map((o) => [o, o]));
    options('f-error', used('e').map((e) => [e, { parse: 'no or broken code', execution: 'code failed' }[e] || e.replaceAll('_', ' ')]));
    options('f-tool', used('t').map((t) => [t, t]));
  }

  function step(by) {
    const at = shown.indexOf(current) + by;
    if (at < 0 || at >= shown.length) return;
    page = Math.floor(at / PAGE);
    list();
    show(shown[at], false);
  }

  function themes() {
    const button = $('theme');
    const order = ['auto', 'light', 'dark'];
    let at = 0;
    button.hidden = false;
    const paint = () => {
      document.documentElement.dataset.theme = order[at];
      button.textContent = { auto: '◐ auto', light: '☀ light', dark: '☾ dark' }[order[at]];
      button.setAttribute('aria-label', `Colour theme: ${order[at]}. Change`);
    };
    button.addEventListener('click', () => { at = (at + 1) % order.length; paint(); });
    paint();
  }

  themes();
  fill();
  $('filters').hidden = $('browser').hidden = false;
  $('filters').addEventListener('submit', (e) => e.preventDefault());
  $('filters').addEventListener('input', filter);
  $('previous').addEventListener('click', () => { page -= 1; list(); });
  $('next').addEventListener('click', () => { page += 1; list(); });
  $('browser').addEventListener('keydown', (e) => {
    if (e.key === 'j' || e.key === 'k') { step(e.key === 'j' ? 1 : -1); e.preventDefault(); }
  });
  list();
  const wanted = location.hash.startsWith('#episode=') ? decodeURIComponent(location.hash.slice(9)) : null;
  const found = wanted && data.traces.find((t) => `${data.sources[t.s].key}/${t.i}` === wanted);
  if (found) { show(found, false); $('episodes').scrollIntoView(); }
})();
