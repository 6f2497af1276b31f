// Drives the pages in a real Chromium, as people and screen readers do. Reads what is there from the environment; between steps it
// asks the test on standard output to change something ("do NAME") and waits for a line on standard input.
import { readFileSync, mkdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { strict as assert } from 'node:assert';
import { createRequire } from 'node:module';

const { ORIGIN, PLAYWRIGHT, AXE, CHROMIUM, SCREENSHOTS, KNOWN } = process.env;
const known = JSON.parse(KNOWN);
const { chromium } = createRequire(import.meta.url)(PLAYWRIGHT);
const axe = readFileSync(AXE, 'utf8');
mkdirSync(SCREENSHOTS, { recursive: true });

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function please(name) {
  console.log(`do ${name}`);
  await lines.next();
}

const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] });
const wrong = [];

/** A page that tells of every error, every request elsewhere and every breach of its policy. */
async function open(options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(30000);
  page.on('pageerror', (error) => wrong.push(`${page.url()}: ${error}`));
  page.on('console', (message) => {
    const isRefusal = message.text().startsWith('Failed to load resource');
    if (message.type() === 'error' && !isRefusal) wrong.push(`${page.url()}: ${message.text()}`);
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(ORIGIN) && !/^(blob|data):/.test(request.url())) wrong.push(`asked elsewhere: ${request.url()}`);
  });
  return page;
}

async function look(page, name, fullPage = true) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  for (const { id, impact, nodes } of violations) {
    const where = nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary}`).join(' | ');
    const told = `${name}: ${id} (${impact}): ${where}`;
    if (['serious', 'critical'].includes(impact)) wrong.push(told);
    else console.log(`note ${told}`);
  }
  await page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage });
}

const steps = {
  async 'the list shows jobs, filters them and goes on to older ones'() {
    const page = await open();
    await page.goto(`${ORIGIN}/`);
    assert.equal(await page.locator('table.jobs tbody tr').count(), 20);
    await look(page, 'home');
    await page.getByRole('link', { name: 'Older' }).click();
    assert((await page.locator('table.jobs tbody tr').count()) > 0);
    await page.getByRole('link', { name: 'Failed', exact: true }).click();
    await page.waitForURL(/outcome=failed/);
    assert.equal(await page.locator('table.jobs tbody tr').count(), 1);
    await page.getByLabel('Consumer').fill('not an address');
    await page.getByRole('button', { name: 'Apply' }).click();
    assert.match(await page.getByRole('alert').innerText(), /consumer/);
    await look(page, 'wrong-filter');
    await page.context().close();
  },

  async 'one box finds whatever is pasted'() {
    const page = await open();
    const find = async (text) => {
      await page.goto(`${ORIGIN}/`);
      await page.getByRole('searchbox').fill(text);
      await page.getByRole('searchbox').press('Enter');
      await page.waitForLoadState();
      return new URL(page.url());
    };
    for (const text of [known.job, known.agreement, known.condition, known.transaction, `${ORIGIN}/jobs/${known.job}`]) {
      assert.equal((await find(text)).pathname, `/jobs/${known.job}`, text);
    }
    assert.equal((await find(known.did)).search, `?did=${known.did}`);
    assert.equal((await find(known.consumer)).search, `?consumer=${known.consumer}`);
    assert.equal((await find(known.waiting)).pathname, `/agreements/${known.waiting}`);
    await look(page, 'agreement');
    assert.equal((await find('tides')).pathname, '/search');
    assert.match(await page.locator('main').innerText(), /Nothing is known by that name/);
    await look(page, 'nothing-found');
    await page.context().close();
  },

  async 'a job changes while it is looked at'() {
    const page = await open();
    await page.goto(`${ORIGIN}/jobs/${known.job}`);
    await look(page, 'job-queued');
    await page.locator('body[data-listening=yes]').waitFor();
    await please('run');
    await page.locator('h1 .badge', { hasText: 'running' }).waitFor();
    await page.locator('.timeline .now', { hasText: 'Algorithm' }).waitFor();
    assert.match(await page.locator('#said').textContent(), /running/);
    const list = await open();
    await list.goto(`${ORIGIN}/?phase=queued`);
    await list.locator('body[data-listening=yes]').waitFor();
    const before = await list.locator('table.jobs tbody tr').count();
    await please('start another');
    await list.waitForFunction((rows) => document.querySelectorAll('table.jobs tbody tr').length < rows, before);
    await list.context().close();
    await page.context().close();
  },

  async 'the log is followed by who shows a token, and its bytes are text'() {
    const page = await open();
    await page.goto(`${ORIGIN}/jobs/${known.job}`);
    assert.equal(await page.locator('#log .live').count(), 0);
    await page.getByRole('button', { name: 'Sign in' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('token').fill('not the token');
    await dialog.getByRole('button', { name: 'Use the token' }).click();
    await dialog.getByText('not valid').waitFor();
    await look(page, 'sign-in');
    await dialog.getByLabel('token').fill(known.token);
    await dialog.getByRole('button', { name: 'Use the token' }).click();
    const log = page.getByRole('log');
    await log.getByText('reads its input').waitFor();
    await please('print');
    await log.getByText('red words').waitFor();
    assert.equal(await log.locator('.f1').first().innerText(), 'red words');
    const text = await log.innerText();
    assert.match(text, /<script>window.pwned = 1<\/script>/);
    assert.match(text, /\\u\{1b\}\[2J/); // a terminal would have cleared its screen
    assert.match(text, /\\u\{202e\}/);
    await please('end');
    await page.getByText('complete').first().waitFor();
    await page.locator('h1 .badge', { hasText: 'succeeded' }).waitFor();
    assert.equal(await page.evaluate(() => window.pwned), undefined);
    await look(page, 'job-finished');
    await page.reload();
    await page.getByRole('log').getByText('red words').waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    assert.equal(await page.locator('#log .live').count(), 0);
    await page.context().close();
  },

  async 'a party signs in with a wallet, reads the log and saves a result'() {
    const page = await open({ acceptDownloads: true });
    await page.exposeFunction('askWallet', async (method, params) => {
      if (method === 'eth_requestAccounts') return [known.consumer];
      // The chain's node holds the key, as a wallet would.
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params });
      const answer = await fetch(known.node, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
      const { result, error } = await answer.json();
      if (error) throw new Error(error.message);
      return result;
    });
    await page.addInitScript(() => {
      window.ethereum = { request: ({ method, params }) => window.askWallet(method, params ?? []) };
    });
    await page.goto(`${ORIGIN}/jobs/${known.job}`);
    assert.equal(await page.locator('#results .live').count(), 0);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Sign in with Wallet' }).click();
    await page.getByRole('button', { name: 'Sign out' }).waitFor();
    await page.getByRole('log').getByText('red words').waitFor();
    const results = page.locator('#results');
    await results.getByText('<img src=x onerror=alert(1)>.txt').waitFor();
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      results.getByRole('button', { name: 'Save answer/sum.txt' }).click(),
    ]);
    assert.equal(saved.suggestedFilename(), 'sum.txt');
    assert.equal(readFileSync(await saved.path(), 'utf8'), 'the sum is 471\n');
    await look(page, 'job-of-a-party');
    await page.context().close();
  },

  async 'everything is reached by the keyboard'() {
    const page = await open();
    await page.goto(`${ORIGIN}/`);
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the content');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main');
    await page.keyboard.press('/');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'q');
    await page.evaluate(() => document.querySelector('#main').focus());
    for (let tabs = 0; tabs < 60; tabs += 1) {
      await page.keyboard.press('Tab');
      if (await page.evaluate(() => document.activeElement.pathname?.startsWith('/jobs/'))) break;
    }
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.notEqual(outline, 'none');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/jobs\/job-/);
    await page.context().close();
  },

  async 'nothing but log and results needs a script'() {
    const page = await open({ javaScriptEnabled: false });
    await page.goto(`${ORIGIN}/`);
    await page.locator('details.filters summary').click();
    await page.getByLabel('Outcome').selectOption('failed');
    await page.getByRole('button', { name: 'Apply' }).click();
    await page.locator('table.jobs tbody th a').first().click();
    await page.waitForURL(/\/jobs\/job-/);
    const text = await page.locator('main').innerText();
    for (const words of ['compute condition fulfilled', 'What to do', 'curl -N']) assert(text.includes(words), words);
    await page.getByRole('searchbox').fill(known.agreement);
    await page.getByRole('button', { name: 'Find' }).click();
    await page.waitForURL(`${ORIGIN}/jobs/${known.job}`);
    await page.context().close();
  },

  async 'the pages can be looked at in every light and on a phone'() {
    const places = [['home', '/'], ['job', `/jobs/${known.job}`], ['refused', `/jobs/${known.refused}`], ['health', '/health'], ['reference', '/docs'],
      ['transaction', `/transactions/${known.transaction}`], ['hostile', `/transactions/${known.hostile}`], ['agreement', `/agreements/${known.waiting}`], ['missing', '/nowhere']];
    const looks = [['dark', { colorScheme: 'dark' }], ['phone', { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true }], ['light', {}]];
    for (const [light, options] of looks) {
      const page = await open(options);
      for (const [name, path] of places) {
        if (light === 'light' && ['home', 'agreement'].includes(name)) continue;
        await page.goto(`${ORIGIN}${path}`);
        // On a phone the reference is as long as forty others together.
        await look(page, `${name}-${light}`, name !== 'reference');
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth) - page.viewportSize().width;
        if (overflow > 0) wrong.push(`${name}-${light} is ${overflow} px wider than its window`);
        assert.equal(await page.evaluate(() => window.pwned), undefined);
      }
      await page.context().close();
    }
  },
};

let failed = 0;
for (const [name, step] of Object.entries(steps)) {
  try {
    await step();
    console.log(`ok ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`failed ${name}: ${error.stack ?? error}`.replaceAll('\n', ' ⏎ '));
  }
}
await browser.close();
for (const told of wrong) console.log(`failed ${told}`.replaceAll('\n', ' ⏎ '));
process.exit(failed || wrong.length ? 1 : 0);
