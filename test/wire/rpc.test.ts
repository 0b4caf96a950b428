/** The agent's RPC against captured exchanges of a real agent and its command line. wire-gossip.md 20. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { concatBytes } from '../../src/base/bytes.ts';
import { MsgpackReader, type MsgpackValue } from '../../src/wire/msgpack/reader.ts';
import { encodeRpcAnswer, type RpcBody } from '../../src/wire/serf/rpc-answer.ts';
import { readRpcRequest, type RpcRequest } from '../../src/wire/serf/rpc-request.ts';
import { fromHex, hex, tellVectors, vectors } from '../vectors.ts';

interface Bin {
  readonly bin: string;
}

interface Captured {
  readonly exchanges: readonly {
    readonly messages: readonly {
      readonly dir: 'client->server' | 'server->client';
      readonly hex: string;
      readonly objects: readonly Readonly<Record<string, unknown>>[];
    }[];
  }[];
}

const exchanges = ['rpc-cli.json', 'rpc-keys-auth.json', 'rpc-scripted.json'].flatMap(
  (file) => vectors<Captured>(file).exchanges,
);
const said = exchanges.flatMap(({ messages }) => messages);
const requests = said.filter(({ dir }) => dir === 'client->server');
const answers = said.filter(({ dir }) => dir === 'server->client');

function bytesOf(value: unknown): Uint8Array {
  return value === null || value === undefined ? new Uint8Array(0) : fromHex((value as Bin).bin);
}

/** What we read, in the words of the capture: bytes as hex, maps as objects, lists as they are. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bin: hex(value) };
  if (value instanceof Map) return Object.fromEntries(value);
  return value;
}

/** The capture says null where our reading says empty. */
function emptied(value: unknown, like: unknown): unknown {
  if (value !== null) return value;
  return Array.isArray(like) ? [] : like instanceof Map ? {} : { bin: '' };
}

/** The body as our encoder takes it. */
function bodyOf(captured: Readonly<Record<string, unknown>>): RpcBody | undefined {
  const text = (key: string): string => String(captured[key]);
  const number = (key: string): number => Number(captured[key]);
  const members = ((captured['Members'] ?? []) as readonly Readonly<Record<string, unknown>>[]).map((member) => {
    const versions = ['ProtocolMin', 'ProtocolMax', 'ProtocolCur', 'DelegateMin', 'DelegateMax', 'DelegateCur'];
    return {
      name: String(member['Name']),
      address: { host: bytesOf(member['Addr']).join('.'), port: Number(member['Port']) },
      status: member['Status'] as 'alive',
      tags: new Map(Object.entries(member['Tags'] as Record<string, string>)),
      tagsComplete: true,
      versions: versions.map((key) => Number(member[key])),
    };
  });
  const named = { lamportTime: number('LTime'), name: text('Name'), payload: bytesOf(captured['Payload']) };
  if (captured['Event'] === 'user') return { kind: 'userEvent', coalesce: captured['Coalesce'] === true, ...named };
  if (captured['Event'] === 'query') return { kind: 'queryEvent', id: number('ID'), ...named };
  if ('Event' in captured) return { kind: 'memberEvent', event: text('Event'), members };
  if ('Members' in captured) return { kind: 'members', members };
  if ('Num' in captured) return { kind: 'join', count: number('Num') };
  if ('Log' in captured) return { kind: 'log', line: text('Log') };
  if ('Type' in captured) {
    const payload = captured['Payload'] === null ? undefined : bytesOf(captured['Payload']);
    return { kind: 'queryRecord', type: captured['Type'] as 'ack', from: text('From'), payload };
  }
  if ('Coord' in captured) {
    const coord = captured['Coord'] as Readonly<Record<string, number>> & { readonly Vec: readonly number[] | null };
    if (captured['Ok'] !== true) return { kind: 'coordinate', coordinate: undefined };
    const [error, adjustment, height] = [coord['Error'] ?? 0, coord['Adjustment'] ?? 0, coord['Height'] ?? 0];
    return { kind: 'coordinate', coordinate: { vec: coord.Vec ?? [], error, adjustment, height } };
  }
  if ('NumNodes' in captured) {
    const keys = captured['Keys'] as Record<string, number> | null;
    const result = {
      messages: new Map(Object.entries(captured['Messages'] as Record<string, string>)),
      keys: keys === null ? undefined : new Map(Object.entries(keys)),
      members: number('NumNodes'),
      failures: number('NumErr'),
      responses: number('NumResp'),
    };
    return { kind: 'keys', result };
  }
  if ('serf' in captured) {
    const groups = Object.entries(captured as Record<string, Record<string, string>>);
    return { kind: 'stats', groups: new Map(groups.map(([name, values]) => [name, new Map(Object.entries(values))])) };
  }
  return undefined;
}

describe('the agent’s RPC on the wire', () => {
  it('reads every request that a real client sent, field by field', (t) => {
    const seen = new Set<string>();
    for (const { hex: text, objects } of requests) {
      let bytes = fromHex(text);
      for (let at = 0; at < objects.length; ) {
        const header = objects[at] as { readonly Command: string; readonly Seq: number };
        const reading = readRpcRequest(bytes);
        seen.add(header.Command);
        if (header.Command === 'bogus') {
          assert.deepEqual(reading, { kind: 'unknownCommand', command: 'bogus', seq: header.Seq });
          break;
        }
        assert.equal(reading.kind, 'request', text);
        const { request, size } = reading as { readonly request: RpcRequest; readonly size: number };
        assert.deepEqual([request.command, request.seq], [header.Command, header.Seq]);
        at += 1;
        const fields = Object.entries(request.body);
        const body = objects[at] as Readonly<Record<string, unknown>>;
        for (const [key, value] of fields) {
          // What the stock client of that time did not know yet stays at its zero value.
          if (key in body) assert.deepEqual(plain(value), emptied(body[key], value), `${header.Command}.${key}`);
        }
        if (fields.length > 0) at += 1;
        bytes = bytes.subarray(size);
      }
    }
    tellVectors(t, 'rpc-* requests', `${requests.length} read; ${seen.size} commands`);
    assert.equal(seen.size, 21, `commands in the capture: ${[...seen].join(' ')}`);
  });

  it('writes every answer of a real agent byte for byte', (t) => {
    const counts = new Map<string, number>();
    for (const { hex: text, objects } of answers) {
      const parts: Uint8Array[] = [];
      for (let at = 0; at < objects.length; at++) {
        const header = objects[at] as { readonly Error: string; readonly Seq: number };
        const next = objects[at + 1];
        const body = next === undefined || 'Error' in next ? undefined : bodyOf(next);
        if (body !== undefined) at += 1;
        parts.push(encodeRpcAnswer(header.Seq, header.Error, body));
        counts.set(body?.kind ?? 'plain', (counts.get(body?.kind ?? 'plain') ?? 0) + 1);
      }
      assert.equal(hex(concatBytes(parts)), text);
    }
    tellVectors(t, 'rpc-* answers', `${answers.length} written byte for byte; ${counts.size} kinds of body`);
    assert.deepEqual([...counts.keys()].sort(), [
      'coordinate',
      'join',
      'keys',
      'log',
      'memberEvent',
      'members',
      'plain',
      'queryEvent',
      'queryRecord',
      'stats',
      'userEvent',
    ]);
  });

  it('waits for the rest of a request that is cut off anywhere', () => {
    for (const { hex: text } of requests) {
      const bytes = fromHex(text);
      const whole = readRpcRequest(bytes);
      const size = whole.kind === 'request' ? whole.size : bytes.length;
      for (let cut = 0; cut < size; cut++)
        assert.equal(readRpcRequest(bytes.subarray(0, cut)).kind, 'incomplete', `${text} cut at ${cut}`);
    }
  });

  it('takes any bytes without throwing, mutated requests above all', () => {
    const originals = requests.map(({ hex: text }) => fromHex(text));
    const mutated = fc
      .tuple(fc.constantFrom(...originals), fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }))))
      .map(([original, changes]) => {
        const bytes = original.slice();
        for (const [at, value] of changes) bytes[at % bytes.length] = value;
        return bytes;
      });
    const kinds = new Set<string>();
    fc.assert(
      fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 })), (bytes) => {
        const reading = readRpcRequest(bytes);
        kinds.add(reading.kind);
        if (reading.kind === 'request') assert.ok(reading.size > 0 && reading.size <= bytes.length);
      }),
      { numRuns: 20_000 },
    );
    assert.deepEqual([...kinds].sort(), ['incomplete', 'malformed', 'request', 'unknownCommand']);
  });

  it('keeps text and bytes apart, at every length of theirs', () => {
    for (const size of [0, 31, 32, 255, 256, 65_535, 65_536]) {
      const payload = new Uint8Array(size).fill(0x61);
      const name = 'n'.repeat(size);
      const bytes = encodeRpcAnswer(7, '', { kind: 'userEvent', lamportTime: 1, name, payload, coalesce: true });
      const reader = new MsgpackReader(bytes);
      reader.skip();
      const body = reader.value() as ReadonlyMap<MsgpackValue, MsgpackValue>;
      assert.equal(reader.left, 0);
      const values = [...body.values()] as Uint8Array[];
      assert.deepEqual([values[3]?.length, values[4]?.length], [size, size === 0 ? undefined : size]);
    }
    assert.equal(hex(encodeRpcAnswer(1, 'x'.repeat(32))).slice(0, 18), '82a54572726f72d920');
  });
});
