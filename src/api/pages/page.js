// Makes the pages live. Without it everything is there but job logs and results, which need a token.
const one = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

/** An element with properties and children; text stays text. */
function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in element) element[key] = value;
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** What would move, hide or turn round the text beside it. */
const HIDDEN = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const plain = (text) => text.replace(HIDDEN, (hidden) => `\\u{${hidden.codePointAt(0).toString(16)}}`);

const say = (text) => { one('#said').textContent = text; };

// --- times

function length(seconds) {
  const [d, h, m, s] = [seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60].map(Math.floor);
  if (d > 1) return `${d} days`;
  if (d) return h ? `1 day ${h} h` : '1 day';
  if (h) return m ? `${h} h ${m} min` : `${h} h`;
  if (m) return m < 10 && s ? `${m} min ${s} s` : `${m} min`;
  return `${s} s`;
}

function keepTimes() {
  for (const time of all('time')) {
    const past = Math.floor((Date.now() - Date.parse(time.dateTime)) / 1000);
    const text = past < 0 ? `in ${length(-past)}` : past < 5 ? 'just now' : `${length(past)} ago`;
    const ago = one('.ago', time);
    if (ago && ago.textContent !== text) ago.textContent = text;
  }
}

// --- copying

function offerCopying(within = document) {
  if (!navigator.clipboard) return;
  for (const place of all('.copy', within)) {
    const text = place.title;
    const button = make('button', { type: 'button', className: 'copied', 'aria-label': `Copy ${text}` }, 'copy');
    button.onclick = async () => {
      await navigator.clipboard.writeText(text).catch(() => {});
      button.textContent = 'copied';
      say('Copied');
      setTimeout(() => { button.textContent = 'copy'; }, 1500);
    };
    place.after(button);
  }
}

// --- what is shown now

/** What a part says, but for how long ago it was. */
const told = (part) => part.innerHTML.replace(/<span class="ago">[^<]*<\/span>/g, '');
const sources = new Map(all('[data-part]').map((part) => [part.id, told(part)]));

/** Fetches this very page again and puts what changed in place, leaving alone where somebody selects text. */
async function refresh() {
  const answer = await fetch(location.href, { headers: { accept: 'text/html' } }).catch(() => null);
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const status = one('h1 .badge')?.textContent;
  for (const fresh of all('[data-part]', page)) {
    const part = document.getElementById(fresh.id);
    const selection = getSelection();
    const isSelected = selection && !selection.isCollapsed && part?.contains(selection.anchorNode);
    if (!part || isSelected || sources.get(fresh.id) === told(fresh)) continue;
    sources.set(fresh.id, told(fresh));
    const held = part.contains(document.activeElement) && document.activeElement.getAttribute('href');
    part.replaceChildren(...document.adoptNode(fresh).childNodes);
    offerCopying(part);
    if (held) all('a', part).find((link) => link.getAttribute('href') === held)?.focus();
  }
  keepTimes();
  const now = one('h1 .badge')?.textContent;
  if (status && now && status !== now) say(`Now${now}`);
}

let stream, soon, again;

/** Listens while the page is looked at: a browser has few connections for all of its tabs. */
function listen() {
  const path = document.body.dataset.live;
  clearTimeout(again);
  stream?.close();
  stream = undefined;
  if (!path || document.hidden) return;
  stream = new EventSource(path);
  document.body.dataset.listening = 'no';
  stream.onopen = () => { document.body.dataset.listening = 'yes'; };
  stream.addEventListener('transition', () => {
    clearTimeout(soon);
    soon = setTimeout(refresh, 250);
  });
  stream.addEventListener('too_slow', () => { again = setTimeout(listen, 1000); });
  stream.onerror = () => {
    // What is refused is not tried again by itself.
    if (stream?.readyState === EventSource.CLOSED) again = setTimeout(listen, 15000);
  };
}

// --- who is here

const KEY = 'tidewatch';

/** Whose token this tab has; kept no longer than the tab, nor than the token holds. */
function session() {
  try {
    const kept = JSON.parse(sessionStorage.getItem(KEY));
    if (kept?.token && kept.until > Date.now()) return kept;
  } catch { /* no storage: nobody is here */ }
  return null;
}

function keep(kept) {
  try {
    if (kept) sessionStorage.setItem(KEY, JSON.stringify(kept));
    else sessionStorage.removeItem(KEY);
  } catch { /* it lasts for this page only */ }
  showAccount();
  showPrivate();
}

/** Asks the API with the token. A token that no longer holds is forgotten. */
async function ask(path, options = {}) {
  const kept = session();
  const headers = { ...options.headers, ...(kept && { authorization: `Bearer ${kept.token}` }) };
  const answer = await fetch(path, { ...options, headers });
  if (answer.ok) return answer;
  const problem = await answer.json().catch(() => ({}));
  if (problem.code === 'invalid_token') keep(null);
  throw Object.assign(new Error(problem.detail ?? `The service answered ${answer.status}.`), { status: answer.status });
}

async function post(path, body) {
  const headers = { 'content-type': 'application/json' };
  const answer = await fetch(path, { method: 'POST', headers, body: JSON.stringify(body) });
  const told = await answer.json().catch(() => ({}));
  if (answer.status === 404) throw new Error('This service does not offer signing in with a wallet.');
  if (!answer.ok) throw new Error(told.detail ?? `The service answered ${answer.status}.`);
  return told;
}

const wallets = new Map();
addEventListener('eip6963:announceProvider', ({ detail }) => wallets.set(detail.info.uuid, detail));
dispatchEvent(new Event('eip6963:requestProvider'));

function knownWallets() {
  const announced = [...wallets.values()].map(({ info, provider }) => [String(info.name), provider]);
  return announced.length || !window.ethereum ? announced : [['Wallet of this browser', window.ethereum]];
}

/** EIP-4361 by an EIP-1193 wallet: the service writes the message, the wallet signs it, the service gives a token for it. */
async function signIn(wallet) {
  const [address] = await wallet.request({ method: 'eth_requestAccounts' });
  const { message } = await post('/v1/sign-in/challenges', { address });
  const bytes = [...new TextEncoder().encode(message)].map((byte) => byte.toString(16).padStart(2, '0'));
  const signature = await wallet.request({ method: 'personal_sign', params: [`0x${bytes.join('')}`, address] });
  const { accessToken, expiresIn } = await post('/v1/sessions', { message, signature });
  keep({ token: accessToken, who: address, until: Date.now() + expiresIn * 1000 });
}

function openDialog() {
  const wrong = make('p', { className: 'bad', role: 'alert' });
  const dialog = make('dialog', { 'aria-labelledby': 'sign-in' });
  const attempt = async (way) => {
    wrong.textContent = '';
    try {
      await way();
      dialog.close();
    } catch (error) { wrong.textContent = error.message ?? String(error); }
  };
  const offered = knownWallets().map(([name, wallet]) => {
    const button = make('button', { type: 'button' }, `Sign in with ${name}`);
    button.onclick = () => attempt(() => signIn(wallet));
    return button;
  });
  const none = make('p', { className: 'note' }, 'No wallet is installed in this browser.');
  const token = make('input', { type: 'password', id: 'token', required: true, autocomplete: 'off' });
  const form = make('form', {}, make('label', { htmlFor: 'token' }, 'Or with a token, as operators have'), token, make('button', {}, 'Use the token'));
  form.onsubmit = (event) => {
    event.preventDefault();
    const kept = { token: token.value.trim(), who: 'token', until: Date.now() + 12 * 3600e3 };
    attempt(async () => {
      // A job that cannot be: it is not found, but for a token that is not valid.
      const answer = await fetch(`/v1/jobs/job-${'0'.repeat(32)}`, { headers: { authorization: `Bearer ${kept.token}` } });
      if (answer.status === 401) throw new Error('This token is not valid.');
      keep(kept);
    });
  };
  const close = make('button', { type: 'button' }, 'Close');
  close.onclick = () => dialog.close();
  dialog.append(
    make('h2', { id: 'sign-in' }, 'Sign in'),
    make('p', {}, 'The parties of an agreement may read its log and results. Signing costs nothing and sends no transaction.'),
    make('div', { className: 'wallets' }, ...(offered.length ? offered : [none])), form, wrong, close,
  );
  dialog.onclose = () => dialog.remove();
  document.body.append(dialog);
  dialog.showModal();
}

function showAccount() {
  const kept = session();
  const button = make('button', { type: 'button' }, kept ? 'Sign out' : 'Sign in');
  button.onclick = kept ? () => keep(null) : openDialog;
  const who = kept?.who === 'token' ? 'with a token' : `${kept?.who.slice(0, 8)}…${kept?.who.slice(-4)}`;
  one('#account').replaceChildren(...(kept ? [make('span', { className: 'id', title: kept.who }, who)] : []), button);
}

// --- job logs

const MOST = 1 << 20; // characters of a log that are kept in the page

/** What a terminal would hide or act on is shown instead: only colours (SGR, ECMA-48 8.3.117) are followed. */
class Painter {
  constructor(screen) {
    this.screen = screen;
    this.held = '';
    this.kept = 0;
    this.style = {};
  }

  write(text) {
    text = (this.held + text).replace(/\r\n/g, '\n');
    const cut = /(\x1b(\[[\d;:]{0,64})?|\r)$/.exec(text);
    this.held = cut?.[0] ?? '';
    text = text.slice(0, text.length - this.held.length);
    const isAtEnd = this.screen.scrollHeight - this.screen.scrollTop - this.screen.clientHeight < 40;
    let from = 0;
    for (const sgr of text.matchAll(/\x1b\[([\d;:]*)m/g)) {
      this.put(text.slice(from, sgr.index));
      this.turn(sgr[1]);
      from = sgr.index + sgr[0].length;
    }
    this.put(text.slice(from));
    while (this.kept > MOST && this.screen.childNodes.length > 1) {
      this.kept -= this.screen.firstChild.textContent.length;
      this.screen.firstChild.remove();
    }
    if (isAtEnd) this.screen.scrollTop = this.screen.scrollHeight;
  }

  end() {
    this.put(this.held);
    this.held = '';
  }

  put(text) {
    if (!text) return;
    this.kept += text.length;
    const span = make('span', { className: Object.values(this.style).join(' ') });
    let from = 0;
    for (const hidden of text.matchAll(HIDDEN)) {
      span.append(text.slice(from, hidden.index), make('span', { className: 'ctl' }, hidden[0] === '\r' ? '\\r' : plain(hidden[0])));
      if (hidden[0] === '\r') span.append('\n');
      from = hidden.index + 1;
    }
    span.append(text.slice(from));
    this.screen.append(span);
  }

  turn(codes) {
    const flags = { 1: 'b', 2: 'd', 3: 'i', 4: 'u', 7: 'v' };
    const list = codes.split(/[;:]/).map(Number);
    while (list.length) {
      const code = list.shift();
      if (code === 0) this.style = {};
      else if (flags[code]) this.style[code] = flags[code];
      else if (code === 22) { delete this.style[1]; delete this.style[2]; }
      else if (flags[code - 20]) delete this.style[code - 20];
      else if (code >= 30 && code <= 37) this.style.f = `f${code - 30}`;
      else if (code >= 90 && code <= 97) this.style.f = `f${code - 90}`;
      else if (code === 39) delete this.style.f;
      else if (code >= 40 && code <= 47) this.style.g = `g${code - 40}`;
      else if (code >= 100 && code <= 107) this.style.g = `g${code - 100}`;
      else if (code === 49) delete this.style.g;
      else if (code === 38 || code === 48) list.splice(0, list[0] === 5 ? 2 : 4); // palettes beyond the sixteen are not shown
    }
  }
}

/** Server-sent events over fetch, since EventSource sends no token. Goes on behind its last event until `end` is told. */
async function follow(path, stop, tell) {
  let last;
  for (;;) {
    try {
      const answer = await ask(path, { signal: stop, headers: { accept: 'text/event-stream', ...(last && { 'last-event-id': last }) } });
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        const blocks = (text + value).split('\n\n');
        text = blocks.pop();
        for (const block of blocks) {
          const event = {};
          for (const [, name, content] of block.matchAll(/^(\w+): ?(.*)$/gm)) event[name] = event[name] === undefined ? content : `${event[name]}\n${content}`;
          if (event.id) last = event.id;
          if (event.data) tell(event.event, JSON.parse(event.data));
          if (event.event === 'end') return;
        }
      }
    } catch (error) {
      if (stop.aborted) return;
      if (error.status && error.status < 500 && error.status !== 429) throw error;
    }
    await new Promise((resolve) => { setTimeout(resolve, 2000); });
    if (stop.aborted) return;
  }
}

let stopped = new AbortController();

function showLog() {
  const section = one('#log');
  one('.live', section)?.remove();
  stopped.abort();
  if (!session()) return;
  const stages = ['algorithm', 'configure', 'filter', 'publish'];
  const select = make('select', { id: 'stage' }, ...stages.map((stage) => make('option', { value: stage }, stage)));
  const state = make('span', { className: 'note' });
  const screen = make('pre', { className: 'log', tabIndex: 0, role: 'log', 'aria-label': 'Job log', 'aria-live': 'off' });
  const read = async () => {
    stopped.abort();
    const mine = stopped = new AbortController();
    let painter = new Painter(screen), attempt;
    screen.replaceChildren();
    state.textContent = 'following';
    try {
      await follow(`/v1/jobs/${section.dataset.job}/logs?follow=true&stage=${select.value}`, mine.signal, (name, data) => {
        if (mine.signal.aborted) return;
        if (name === 'log') {
          if (attempt !== undefined && data.attempt !== attempt) {
            screen.replaceChildren();
            painter = new Painter(screen);
          }
          attempt = data.attempt;
          painter.write(data.text);
        } else if (name === 'end') {
          painter.end();
          state.textContent = `${data.bytes} bytes, ${data.completeness ?? 'not whole yet'}`;
        }
      });
    } catch (error) { state.textContent = error.message; }
  };
  select.onchange = read;
  section.append(make('div', { className: 'live' }, make('div', { className: 'viewer' }, make('label', { htmlFor: 'stage' }, 'Stage'), select, state), screen));
  read();
}

// --- results

async function showResults() {
  const section = one('#results');
  one('.live', section)?.remove();
  if (!session()) return;
  const live = make('div', { className: 'live' });
  section.append(live);
  const path = `/v1/jobs/${section.dataset.job}/results`;
  try {
    const manifest = await (await ask(path)).json();
    const rows = manifest.files.map((file) => {
      const button = make('button', { type: 'button' }, 'Save');
      button.onclick = async () => {
        button.disabled = true;
        await save(`${path}/${file.path.split('/').map(encodeURIComponent).join('/')}`, file.path).catch((error) => say(error.message));
        button.disabled = false;
      };
      button.setAttribute('aria-label', `Save ${file.path}`);
      return make('tr', {}, make('th', { scope: 'row', className: 'given' }, plain(file.path)), make('td', { className: 'number' }, file.size.toLocaleString('en')),
        make('td', {}, make('code', { title: file.sha256 }, `${file.sha256.slice(0, 14)}…`)), make('td', {}, button));
    });
    const head = make('tr', {}, ...['Name', 'Bytes', 'SHA-256', 'Save'].map((word) => make('th', { scope: 'col' }, word)));
    live.append(rows.length ? make('table', {}, make('thead', {}, head), make('tbody', {}, ...rows)) : make('p', { className: 'empty' }, 'The job published no file.'));
  } catch (error) { live.append(make('p', { className: 'empty' }, error.message)); }
}

async function save(path, name) {
  const bytes = await (await ask(path)).blob();
  const link = make('a', { href: URL.createObjectURL(bytes), download: name.split('/').pop() });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function showPrivate() {
  if (!one('#log')) return;
  showLog();
  showResults();
}

// --- beginning

keepTimes();
offerCopying();
showAccount();
showPrivate();
listen();
setInterval(keepTimes, 1000);
setInterval(() => { if (!document.hidden && document.body.dataset.live) refresh(); }, 15000);
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && document.body.dataset.live) refresh();
  listen();
});
addEventListener('keydown', (event) => {
  const isTyping = event.target.closest?.('input, select, textarea');
  if (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    one('#q').focus();
  }
});
