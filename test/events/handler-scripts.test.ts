/** Scripts for events: which they want, what they are told, and what bounds them. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, mock } from 'node:test';
import { utf8 } from '../../src/base/bytes.ts';
import { AgentEvents, type AgentTiming } from '../../src/events/agent-events.ts';
import { Coalescer } from '../../src/events/coalescer.ts';
import { HandlerScripts } from '../../src/events/handler-scripts.ts';
import { isWanted, parseHandlerSpec } from '../../src/events/handler-spec.ts';
import type { AgentEvent } from '../../src/model/agent-event.ts';
import type { Member } from '../../src/model/member.ts';
import type { NodeEvent } from '../../src/model/node-event.ts';
import type { Logger } from '../../src/ports/logger.ts';
import { FakeNodeHandle, fakeView } from '../fake-node-handle.ts';

function member(name: string, tags: readonly (readonly [string, string])[] = []): Member {
  return {
    name,
    address: { host: '10.0.0.9', port: 7946 },
    status: 'alive',
    tags: new Map(tags),
    tagsComplete: true,
    versions: [],
  };
}

const AS_AGENTS: AgentTiming = {
  members: { windowMs: 3_000, quietMs: 1_000 },
  users: { windowMs: 3_000, quietMs: 1_000 },
};

function userEvent(name: string, lamportTime: number, coalesce = true, payload = ''): NodeEvent {
  return { kind: 'userEvent', name, lamportTime, coalesce, payload: utf8(payload) };
}

describe('a handler spec', () => {
  it('names events and a script, or a script alone for all events', () => {
    const all = parseHandlerSpec('/bin/notify');
    assert.deepEqual(all, { text: '/bin/notify', filters: [{ event: '*', name: undefined }], script: '/bin/notify' });
    const some = parseHandlerSpec('member-join,user:deploy,query=A=1 run me');
    assert.ok(typeof some !== 'string');
    assert.equal(some.script, 'A=1 run me');
    assert.ok(
      isWanted(some, 'member-join', undefined) && isWanted(some, 'user', 'deploy') && isWanted(some, 'query', 'x'),
    );
    assert.ok(!isWanted(some, 'member-leave', undefined) && !isWanted(some, 'user', 'other'));
  });

  it('is refused with what is wrong and what would be right', () => {
    assert.match(String(parseHandlerSpec('member-gone=x')), /"member-gone" is no event: known are member-join/);
    assert.match(String(parseHandlerSpec('member-join:web=x')), /is no event/);
    assert.match(String(parseHandlerSpec('user=')), /names no script/);
  });
});

describe('events for handlers', () => {
  it('19.2: come as one per burst, the newest of each member, and nothing that was told before', () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const told: AgentEvent[] = [];
    const events = new AgentEvents(AS_AGENTS);
    events.subscribe((event) => told.push(event));
    const brief = (): string[] =>
      told
        .splice(0)
        .map((one) => `${one.event} ${'members' in one ? one.members.map(({ name }) => name).join() : one.name}`);
    for (const name of ['a', 'b', 'c']) events.note({ kind: 'memberJoined', member: member(name) });
    events.note({ kind: 'memberFailed', member: member('b') });
    mock.timers.tick(999);
    assert.deepEqual(brief(), []);
    mock.timers.tick(1);
    assert.deepEqual(brief(), ['member-join a,c', 'member-failed b']);
    events.note({ kind: 'memberJoined', member: member('a') });
    events.note({ kind: 'memberUpdated', member: member('c') });
    mock.timers.tick(1_000);
    assert.deepEqual(brief(), ['member-update c']);
    for (let i = 0; i < 4; i++) {
      events.note({ kind: 'memberUpdated', member: member('c') });
      mock.timers.tick(900);
    }
    assert.deepEqual(brief(), ['member-update c'], 'no longer than the window');
    events.close();
    mock.timers.reset();
  });

  it('19.2: user events of one name are told by their newest, others at once', () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const told: AgentEvent[] = [];
    const events = new AgentEvents(AS_AGENTS);
    events.subscribe((event) => told.push(event));
    events.note(userEvent('deploy', 4));
    events.note(userEvent('deploy', 7));
    events.note(userEvent('deploy', 5));
    events.note(userEvent('deploy', 7));
    events.note(userEvent('alarm', 6, false));
    const times = (): string[] =>
      told.splice(0).map((one) => ('lamportTime' in one ? `${one.name} ${one.lamportTime}` : ''));
    assert.deepEqual(times(), ['alarm 6']);
    mock.timers.tick(1_000);
    assert.deepEqual(times(), ['deploy 7', 'deploy 7']);
    events.close();
    mock.timers.reset();
  });

  it('are told at once where a period is 0', () => {
    const told: string[] = [];
    const off = { windowMs: 3_000, quietMs: 0 };
    const events = new AgentEvents({ members: off, users: { windowMs: 0, quietMs: 1_000 } });
    const unsubscribe = events.subscribe((one) => told.push('members' in one ? one.event : one.name));
    events.note({ kind: 'memberJoined', member: member('a') });
    events.note(userEvent('deploy', 1));
    events.note({ kind: 'memberJoined', member: member('a') });
    assert.deepEqual(told, ['member-join', 'deploy', 'member-join']);
    unsubscribe();
    events.note(userEvent('deploy', 2));
    assert.equal(told.length, 3);
  });

  it('are told before their time rather than that they fill memory', () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    const told: AgentEvent[] = [];
    const events = new AgentEvents(AS_AGENTS);
    events.subscribe((event) => told.push(event));
    for (let i = 0; i < 3_000; i++) events.note(userEvent(`name-${i}`, i));
    assert.equal(told.length, 2 * 1_025, 'all of what was gathered, twice');
    for (let i = 0; i < 100; i++) events.note(userEvent('one', 9_000));
    mock.timers.tick(1_000);
    assert.equal(told.length, 3_100, 'and none is lost');
    events.close();
    mock.timers.reset();
  });

  it('that were gathered are not let out any more when it is closed', () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    let flushed = 0;
    const coalescer = new Coalescer({ windowMs: 10, quietMs: 5 }, () => {
      flushed += 1;
    });
    coalescer.note();
    coalescer.close();
    mock.timers.tick(100);
    assert.equal(flushed, 0);
    mock.timers.reset();
  });
});

describe('handler scripts', () => {
  const folder = mkdtempSync(join(tmpdir(), 'funknode-handlers-'));
  after(() => rmSync(folder, { recursive: true }));

  const warnings: string[] = [];
  const logger: Logger = {
    log: (level, _event, fields) => {
      if (level === 'warn') warnings.push(String(fields?.['text']));
    },
    child: () => logger,
  };

  function run(spec: string, handle: FakeNodeHandle): HandlerScripts {
    const parsed = parseHandlerSpec(spec);
    assert.ok(typeof parsed !== 'string');
    const soon = { windowMs: 5, quietMs: 1 };
    const events = new AgentEvents({ members: soon, users: soon });
    handle.subscribe((event) => events.note(event));
    return new HandlerScripts({ handle, specs: [parsed], logger, events: events.subscribe });
  }

  /** Resolves with the answer that was given to the query. */
  async function asked(spec: string, payload = ''): Promise<string | undefined> {
    let answered: ((text: string) => void) | undefined;
    const answer = new Promise<string>((resolve) => {
      answered = resolve;
    });
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }), {
      gossip: async (request) => {
        if (request.kind === 'respond') answered?.(Buffer.from(request.payload).toString());
        return { kind: 'done' };
      },
    });
    const scripts = run(spec, handle);
    const before = warnings.length;
    const deadline = handle.now() + 1_000;
    handle.emit({
      kind: 'queryAsked',
      token: 3,
      lamportTime: 9,
      name: 'load',
      payload: utf8(payload),
      source: 'x',
      deadline,
    });
    const warned = (async () => {
      while (warnings.length === before) await new Promise((resolve) => setTimeout(resolve, 5));
      return undefined;
    })();
    const result = await Promise.race([answer, warned]);
    await scripts.close();
    return result;
  }

  it('answer a query with what they print, and see its name, time and payload', async () => {
    assert.equal(
      await asked('query=echo "$SERF_EVENT $SERF_QUERY_NAME $SERF_QUERY_LTIME"; cat', 'since'),
      'query load 9\nsince\n',
    );
  });

  it('do not answer when they fail; that is told', async () => {
    assert.equal(await asked('query=echo sorry; exit 3'), undefined);
    assert.match(warnings.at(-1) ?? '', /ended with 3: sorry/);
  });

  it('that print too much are cut to the last 8 KiB, which is told', async () => {
    const answer = await asked('query=head -c 20000 /dev/zero; echo end');
    assert.deepEqual([answer?.length, answer?.endsWith('end\n')], [8_192, true]);
    assert.match(warnings.at(-1) ?? '', /printed 11812 bytes more than the 8192 that are kept/);
  });

  it('are told of members line by line, with tabs and line ends escaped', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
    const file = join(folder, 'members');
    const scripts = run(`member-join=cat > ${file}.part; mv ${file}.part ${file}`, handle);
    const tags = [
      ['role', 'web'],
      ['note', 'a\tb\nc'],
    ] as const;
    handle.emit({ kind: 'memberJoined', member: member('m1', tags) });
    handle.emit({ kind: 'memberJoined', member: member('m2') });
    let text = '';
    for (let i = 0; i < 400 && text === ''; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      try {
        text = readFileSync(file, 'utf8');
      } catch (error) {
        assert.equal((error as NodeJS.ErrnoException).code, 'ENOENT');
      }
    }
    assert.equal(text, 'm1\t10.0.0.9\tweb\trole=web,note=a\\tb\\nc\nm2\t10.0.0.9\t\t\n');
    await scripts.close();
  });

  it('that run when the node stops are ended, with what they have started', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
    // The second leaves something behind that holds its output open.
    for (const script of ['sleep 600 & sleep 600', 'sleep 600 &']) {
      const scripts = run(`user=${script}`, handle);
      handle.emit(userEvent('x', 1, false));
      await new Promise((resolve) => setTimeout(resolve, 50));
      const begunAt = performance.now();
      await scripts.close();
      assert.ok(performance.now() - begunAt < 5_000);
    }
  });
});
