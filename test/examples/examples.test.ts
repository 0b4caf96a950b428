/** The programs of `examples/` as a reader would run them: built, as processes of their own, on loopback. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { filter, firstValueFrom } from 'rxjs';
import { FunkNode, formatEndpoint } from '../../src/index.ts';

const ENDS_WITHIN_MS = 300_000;

class Program implements AsyncDisposable {
  readonly ended: Promise<number | null>;
  out = '';
  err = '';
  readonly #child: ReturnType<typeof spawn>;
  #wake: () => void = () => undefined;

  constructor(name: string, args: readonly string[] = []) {
    const path = fileURLToPath(new URL(`../../examples/${name}.js`, import.meta.url));
    const child = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    child.stdout.on('data', (bytes: Buffer) => {
      this.out += bytes.toString();
      this.#wake();
    });
    child.stderr.on('data', (bytes: Buffer) => {
      this.err += bytes.toString();
    });
    this.ended = once(child, 'close').then(([code]) => code as number | null);
  }

  /** Resolves when `text` was printed; rejects when the program ends without it. */
  async printed(text: string): Promise<void> {
    const hasEnded = this.ended.then(() => true);
    while (!this.out.includes(text)) {
      const more = new Promise<false>((resolve) => {
        this.#wake = () => resolve(false);
      });
      if (this.out.includes(text)) return;
      const isOver = await Promise.race([more, hasEnded]);
      if (isOver && !this.out.includes(text)) assert.fail(`never printed "${text}":\n${this.out}\n${this.err}`);
    }
  }

  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.ended;
  }
}

describe('examples', { timeout: ENDS_WITHIN_MS }, () => {
  it('embed: two nodes in one process share the shards, and one goes on alone', async () => {
    await using program = new Program('embed');
    const code = await program.ended;
    const report = `${program.out}\n${program.err}`;
    assert.equal(code, 0, report);
    assert.equal(program.err, '', report);
    const lines = program.out.trimEnd().split('\n');
    assert.ok(lines.includes('a: Operational'), report);
    assert.match(program.out, /^a: serves shard 4711, token \d+$/m);
    assert.match(program.out, /^a: map \d+, a 5000, b 5000$/m);
    assert.ok(lines.includes('b: ep.shop of a is 127.0.0.1:8080'), report);
    assert.ok(lines.includes('a: Stopping'), report);
    // The last word on the shard is its new owner's, under a token of its own.
    const tokens = [...program.out.matchAll(/^(\w): serves shard 4711, token (\d+)$/gm)];
    assert.equal(tokens.at(-1)?.[1], 'b', report);
    assert.ok(lines.includes('a: lets go of 5000 shards'), report);
    assert.ok(lines.includes('done'), report);
  });

  it('hand-over: counters move with their shards, and no count is lost', async () => {
    await using program = new Program('hand-over');
    const code = await program.ended;
    const report = `${program.out}\n${program.err}`;
    assert.deepEqual([code, program.err], [0, ''], report);
    const counted = [...program.out.matchAll(/^counted: (.*)$/gm)].map((match) => match[1]);
    assert.deepEqual([counted[0], counted[2]], ['a1 a1 a1 a1 a1 a1 a1 a1', 'b3 b3 b3 b3 b3 b3 b3 b3'], report);
    assert.match(counted[1] ?? '', /^(?:[ab]2 ?){8}$/, report);
    assert.match(program.out, /^a: lets 4 shards go to b$/m);
    assert.match(program.out, /^b: takes 4 shards under token \d+, 4 with what was handed over$/m);
  });

  it('routing: any node takes any request, and its owner answers', async () => {
    await using program = new Program('routing');
    const code = await program.ended;
    const report = `${program.out}\n${program.err}`;
    assert.equal(code, 0, report);
    assert.equal(program.err, '', report);
    const answers = [...program.out.matchAll(/^through (\w): 200 (\w) has seen \w+ \d+ times, token \d+$/gm)];
    assert.equal(answers.length, 16, report);
    const byOwner = (through: string, at: number): string[] =>
      answers.slice(at, at + 4).map(([, entered, owner]) => (entered === through ? (owner as string) : 'nobody'));
    assert.deepEqual(byOwner('a', 0), ['a', 'a', 'a', 'a'], report);
    assert.deepEqual(byOwner('a', 4), byOwner('b', 8), report);
    assert.ok(byOwner('a', 4).includes('b'), report);
    assert.deepEqual(byOwner('b', 12), ['b', 'b', 'b', 'b'], report);
  });

  it('client: shows the picture and every change, until Ctrl-C or the end of the node', async () => {
    await using node = new FunkNode({
      clusterName: `watched-${process.pid}`,
      nodeId: 'watched',
      interface: '127.0.0.1',
      inMemory: true,
      bootstrap: true,
    });
    await node.start();
    await firstValueFrom(node.streams.states.pipe(filter((state) => state === 'Operational')));
    const management = node.view().endpoints.get('ep.clusterfunk.management');
    assert.ok(management !== undefined);

    await using patient = new Program('client', [formatEndpoint(management)]);
    await using brief = new Program('client', [formatEndpoint(management)]);
    for (const program of [patient, brief]) {
      await program.printed('synced:');
      await program.printed('watched 10000');
    }
    assert.match(patient.out, /^status: watched is \w+, \w+; leader /m);
    assert.match(patient.out, /^member: watched alive, \w+$/m);

    brief.interrupt();
    assert.equal(await brief.ended, 0, brief.err);
    await node.stop();
    assert.equal(await patient.ended, 3, patient.out);
    assert.match(patient.err, /^FUNK_UNREACHABLE: .*left in order/);
  });

  it('clients: a client follows a service and asks the owner of each key, and goes on when a node stops', async () => {
    await using program = new Program('clients');
    const code = await program.ended;
    const report = `${program.out}\n${program.err}`;
    assert.equal(code, 0, report);
    assert.equal(program.err, '', report);
    const lines = program.out.trimEnd().split('\n');
    for (const line of ['client: a serves ep.web', 'client: ep.web of b added', 'client: 2 nodes answered'])
      assert.ok(lines.includes(line), report);
    assert.ok(lines.includes('client: 1 node answers for all'), report);
    assert.equal(lines.filter((line) => line.endsWith(' is served by b')).length > 6, true, report);
    assert.equal(lines.at(-1), 'done', report);
  });

  it('client: says that nobody answers', async () => {
    // Port 9 (discard) is nobody's on a machine without inetd.
    await using program = new Program('client', ['127.0.0.1:9']);
    assert.equal(await program.ended, 3, program.out);
    assert.match(program.err, /^FUNK_UNREACHABLE: nobody answers at 127\.0\.0\.1:9\n$/);
  });
});
