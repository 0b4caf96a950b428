/** The checker and the endpoint as an application uses them: real sockets on loopback. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { LivenessSettingsError } from '../../src/liveness/errors.ts';
import { LivenessChecker } from '../../src/runtime/liveness-checker.ts';
import { LivenessEndpoint } from '../../src/runtime/liveness-endpoint.ts';

/** What clusterfunk's endpoint does: two bytes of any packet go back. */
async function clusterfunkEndpoint(): Promise<{ readonly port: number; readonly stop: () => Promise<void> }> {
  const socket = createSocket('udp4');
  socket.on('message', (bytes, from) => socket.send(bytes.subarray(0, 2), from.port, from.address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, stop: () => new Promise((resolve) => void socket.close(() => resolve())) };
}

function nextOf(listen: (listener: (id: string) => void) => () => void): Promise<string> {
  return new Promise((resolve) => {
    const end = listen((id) => {
      end();
      resolve(id);
    });
  });
}

describe('LivenessChecker and LivenessEndpoint by themselves', () => {
  it('a stopped endpoint is told dead and, started again at its port, alive', { timeout: 20_000 }, async () => {
    const checker = new LivenessChecker({ intervalMs: 20, retries: 3 });
    const first = await LivenessEndpoint.start('127.0.0.1:0');
    const other = await LivenessEndpoint.start({ host: '127.0.0.1', port: 0 });
    try {
      checker.add('one', first.local);
      checker.add('other', other.local);
      while (checker.stats.echoesReceived < 10) await new Promise((resolve) => setTimeout(resolve, 10));
      const dead = nextOf((listener) => checker.onDead(listener));
      await first.stop();
      assert.equal(await dead, 'one');
      const alive = nextOf((listener) => checker.onAlive(listener));
      const again = await LivenessEndpoint.start(first.local);
      assert.equal(await alive, 'one');
      assert.equal(checker.stats.alive, 2);
      await again.stop();
    } finally {
      await checker.shutdown();
      await other.stop();
    }
  });

  it("clusterfunk's endpoint answers our checker, by name too", { timeout: 20_000 }, async () => {
    const theirs = await clusterfunkEndpoint();
    const checker = new LivenessChecker({ intervalMs: 20 });
    try {
      const dead: string[] = [];
      checker.onDead((id) => dead.push(id));
      checker.add('theirs', `127.0.0.1:${theirs.port}`);
      while (checker.stats.echoesReceived < 20) await new Promise((resolve) => setTimeout(resolve, 10));
      assert.deepEqual(dead, []);
      assert.equal(checker.stats.dropped, 0);
    } finally {
      await checker.shutdown();
      await theirs.stop();
    }
  });

  it("our endpoint answers clusterfunk's checker: two bytes from a connected socket", { timeout: 20_000 }, async () => {
    const ours = await LivenessEndpoint.start('127.0.0.1:0');
    const theirs = createSocket('udp4');
    try {
      theirs.connect(ours.local.port, ours.local.host);
      await once(theirs, 'connect');
      theirs.send('Yo');
      const [answer] = await once(theirs, 'message');
      assert.equal(String(answer), 'Yo');
    } finally {
      theirs.close();
      await ours.stop();
    }
  });

  it('a name without an address is a peer that does not answer', { timeout: 20_000 }, async () => {
    const checker = new LivenessChecker({ intervalMs: 20 });
    try {
      const dead = nextOf((listener) => checker.onDead(listener));
      checker.add('ghost', 'no-such-host.invalid:7949');
      assert.equal(await dead, 'ghost');
      checker.remove('ghost');
      assert.equal(checker.stats.watched, 0);
    } finally {
      await checker.shutdown();
    }
  });

  it('settings and addresses out of range are refused with what is wrong', async () => {
    assert.throws(() => new LivenessChecker({ intervalMs: 1, retries: 0 }), /intervalMs is 1.*retries is 0/);
    const checker = new LivenessChecker();
    assert.throws(() => checker.add('n2', 'nonsense'), LivenessSettingsError);
    assert.throws(() => checker.add('n2', { host: '127.0.0.1', port: 0 }), LivenessSettingsError);
    await checker.shutdown();
    await checker.shutdown();
    await assert.rejects(LivenessEndpoint.start('localhost:0'), LivenessSettingsError);
    const held = await LivenessEndpoint.start('127.0.0.1:0');
    await assert.rejects(LivenessEndpoint.start(held.local), LivenessSettingsError);
    await held.stop();
    await held.stop();
  });
});
