// A conversation with the agent.

import { Refused, chat, models } from './api.js';
import { Follow } from './follow.js';
import { View, el, visible } from './steps.js';
import { keepKey, keepTalk, messagesOf, newTalk, note, recallKey, recallTalk } from './talk.js';

const $ = (id) => document.getElementById(id);
const touch = matchMedia('(hover: none) and (pointer: coarse)'); // a keyboard on the screen would cover the answer
const narrow = matchMedia('(max-width: 40rem)');
const follow = new Follow($('end'));
let key = recallKey(), model = '', talk = recallTalk() || newTalk(), running = null, left = false;

// --- what is told beside the talk --------------------------------------------------------------------------------------

// Steps are drawn twice, as they are written and as they ran. Screen readers hear of each once, from a line of its own.
const announce = (text) => { $('said').textContent = text; };

function notice(text) {
  $('notice').hidden = !text;
  $('problem').textContent = text;
  follow.grown();
}

function ready() {
  if (!touch.matches) $('question').focus({ preventScroll: true });
}

function duration(s) {
  if (s < 9.95) return `${s.toFixed(1)} s`;
  const whole = Math.round(s);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

// --- the server --------------------------------------------------------------------------------------------------------

/** Ask for the key, and say why: there was none, or the server does not take the one it was given. */
function lock() {
  $('why').textContent = key ? 'The server does not take this key.' : 'This server asks for a key. Whoever started it knows it.';
  $('key').setAttribute('aria-invalid', String(Boolean(key)));
  $('unlock').hidden = false;
  key = model = '';
  keepKey(key);
  follow.toEnd();
  $('key').focus();
  $('key').select();
}

/** Learn what the server offers. Whether it can be asked. */
async function connect() {
  notice('');
  try {
    const names = await models(key);
    model = names[0];
    for (const option of $('how').options) option.hidden = option.disabled = !names.includes(model + option.value);
    if (!$('how').selectedOptions[0] || $('how').selectedOptions[0].disabled) $('how').value = '';
    $('name').textContent = model;
    document.title = `Talk to ${model}`;
    $('unlock').hidden = true;
    keepKey(key);
    return true;
  } catch (e) {
    if (e.status === 401) lock();
    else notice(e.message);
    return false;
  }
}

/** Try the key that was typed. Whether the server takes it. */
async function unlock() {
  key = $('key').value.trim();
  $('why').textContent = '';
  if (!await connect()) return false;
  $('key').value = '';
  announce('The server takes this key.');
  ready();
  return true;
}

// --- the conversation --------------------------------------------------------------------------------------------------

function draw() {
  const views = talk.turns.map((turn) => {
    const view = new View(turn);
    view.work.open = !narrow.matches;
    view.end(turn);
    return view.node;
  });
  $('turns').replaceChildren(...views);
  $('lede').hidden = views.length > 0;
}

/** Show the talk that the tab held before a reload. A question that was not answered yet can be asked again. */
function resume() {
  for (const turn of talk.turns.filter((t) => t.text === undefined && t.problem === undefined)) {
    turn.problem = 'The page was left before there was an answer.';
    talk.draft ||= turn.question;
  }
  try {
    draw();
  } catch { // it was kept by another version of this page
    talk = newTalk();
    draw();
  }
  $('how').value = talk.how;
  write(talk.draft);
  follow.toEnd();
}

function begin() {
  if (running) running.abort();
  talk = newTalk();
  keep();
  draw();
  notice('');
  announce('A new conversation.');
  ready();
}

function keep() {
  if (left) return; // what fails now, fails because the page goes
  keepTalk(Object.assign(talk, { how: $('how').value, draft: $('question').value }));
}

async function answer(turn, view, messages, signal) {
  const body = {
    model: model + turn.how, stream: true, stream_options: { include_usage: true }, conversation: talk.name,
    messages: [...messages, { role: 'user', content: turn.question }],
  };
  let text = '', usage = null;
  for await (const chunk of chat(key, body, signal)) {
    if (chunk.usage) usage = chunk.usage;
    if (chunk.agent) {
      note(turn, chunk.agent);
      view.take(chunk.agent);
    }
    for (const { delta, finish_reason } of chunk.choices) {
      text += delta.content || '';
      turn.finish = finish_reason || turn.finish;
    }
    follow.grown();
  }
  turn.text = text;
  return usage;
}

async function ask(question) {
  const turn = { question, how: $('how').value, told: [] }, messages = messagesOf(talk.turns);
  const mine = running = new AbortController(), start = performance.now();
  const view = new View(turn, announce);
  const took = () => (performance.now() - start) / 1000;
  const clock = setInterval(() => { view.working.textContent = `At work · ${duration(took()).replace(/\.\d/, '')}`; }, 1000);
  talk.turns.push(turn);
  $('turns').append(view.node);
  busy(true);
  if (touch.matches) $('question').blur();
  announce('Asked.');
  follow.toEnd();
  keep();
  let usage = null;
  try {
    usage = await answer(turn, view, messages, mine.signal);
  } catch (e) {
    turn.problem = mine.signal.aborted ? 'Stopped.' : visible(e.message);
    if (view.node.isConnected && !$('question').value) write(question);
    if (e instanceof Refused && e.status === 401) {
      lock();
      turn.problem = $('why').textContent;
    }
    if (e instanceof Refused && e.status === 404) model = ''; // the server serves another one now: ask for its name
  }
  clearInterval(clock);
  const cost = turn.told.length ? [view.did] : [];
  if (usage || took() >= 0.1) cost.push(duration(Math.max(took(), 0.1)));
  if (usage) cost.push(`${usage.prompt_tokens.toLocaleString('en')} tokens read`, `${usage.completion_tokens.toLocaleString('en')} written`);
  turn.cost = cost.join(' · ');
  show(turn, view);
  if (running === mine) {
    running = null;
    busy(false);
  }
  keep();
}

/** Show what came of a question, where it can be seen: on a phone the steps make room for it. */
function show(turn, view) {
  const result = view.end(turn);
  if (!view.node.isConnected) return;
  if (narrow.matches && follow.on) view.work.open = false;
  follow.show(result, document.querySelector('.bar').offsetHeight);
  announce(turn.problem === undefined ? `Answer: ${visible(turn.text) || 'empty'}` : turn.problem);
}

function busy(is) {
  const focused = [$('send'), $('stop'), $('question'), document.body].includes(document.activeElement);
  $('lede').hidden = true;
  $('send').hidden = is;
  $('stop').hidden = !is;
  if (!is && focused) ready();
}

async function submit() {
  const question = $('question').value.trim();
  if (!question || running) return;
  if (!model && !await ($('key').value.trim() ? unlock() : connect())) return;
  if (running) return;
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

$('ask').addEventListener('submit', (e) => { e.preventDefault(); submit(); });
$('question').addEventListener('input', grow);
$('question').addEventListener('keydown', (e) => {
  if (e.key === 'Enter' && !e.shiftKey && !e.isComposing && e.keyCode !== 229) { e.preventDefault(); submit(); }
});
document.addEventListener('keydown', (e) => {
  if (e.key === 'Escape' && !e.isComposing && running) { e.preventDefault(); running.abort(); }
});
$('stop').addEventListener('click', () => running && running.abort());
$('new').addEventListener('click', begin);
$('retry').addEventListener('click', async () => { if (await connect()) ready(); });
$('unlock').addEventListener('submit', (e) => { e.preventDefault(); unlock(); });
$('turns').addEventListener('click', (e) => {
  const fold = e.target.closest('summary');
  if (fold && !fold.parentNode.open) follow.pause();
});
window.addEventListener('pagehide', () => { keep(); left = true; });
window.addEventListener('pageshow', () => { left = false; });
document.addEventListener('visibilitychange', () => { if (document.hidden) keep(); }); // a phone may end it without a word
history.scrollRestoration = 'manual';
resume();
connect().then((can) => { if (can) ready(); });
