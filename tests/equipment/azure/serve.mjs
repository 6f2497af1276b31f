// Starts Azurite, makes a container in it and says where it is; ends it when standard input ends.
// usage: node serve.mjs AZURITE_BLOB_MAIN CONTAINER

import { createHmac, randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const [main, container] = process.argv.slice(2);
const account = 'tidewatch';
const key = randomBytes(64).toString('base64');

const flags = ['--inMemoryPersistence', '--blobHost', '127.0.0.1', '--blobPort', '0', '--skipApiVersionCheck', '--disableTelemetry'];
const azurite = spawn(process.execPath, [main, ...flags], {
  env: { PATH: process.env.PATH, AZURITE_ACCOUNTS: `${account}:${key}` },
  stdio: ['ignore', 'pipe', 'inherit'],
});
azurite.on('exit', (code) => process.exit(code ?? 0));
process.stdin.on('end', () => azurite.kill('SIGKILL')).resume();

for await (const line of createInterface({ input: azurite.stdout })) {
  const [origin] = line.match(/http:\/\/\S+/) ?? [];
  if (!origin) continue;
  const endpoint = `${origin}/${account}`;
  await makeContainer(endpoint);
  console.log(JSON.stringify({ account, key, endpoint }));
}

// Create Container, signed as "Authorize with Shared Key" of Azure Storage's reference says for versions from 2015-02-21 on.
async function makeContainer(endpoint) {
  const headers = { 'x-ms-date': new Date().toUTCString(), 'x-ms-version': '2021-12-02' };
  const named = Object.entries(headers).map(([name, value]) => `${name}:${value}\n`).join('');
  // The account stands twice: once as such, and once in the path, where emulators have it.
  const resource = `/${account}${new URL(endpoint).pathname}/${container}\nrestype:container`;
  const signed = `PUT${'\n'.repeat(12)}${named}${resource}`;
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(signed).digest('base64');
  const authorization = `SharedKey ${account}:${signature}`;
  const answer = await fetch(`${endpoint}/${container}?restype=container`, { method: 'PUT', headers: { ...headers, authorization } });
  if (answer.status !== 201) throw new Error(`the container was not made: ${answer.status} ${await answer.text()}`);
}
