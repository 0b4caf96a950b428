import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from '../../src/base/random.ts';
import { Announcement, legacyReply } from '../../src/discovery/announcement.ts';
import { joinLabels } from '../../src/discovery/mdns-socket.ts';
import { ALL_SERVICE_TYPES, type DnsRecord, labelOf, ownerOf, SERVICE_TYPE } from '../../src/discovery/records.ts';
import { type NameService, resolveJoin } from '../../src/discovery/resolve-join.ts';
import { Schedule } from '../../src/discovery/schedule.ts';
import { ServiceTable } from '../../src/discovery/service-table.ts';

const ENDPOINTS = { serf: { host: '10.0.0.1', port: 7946 }, mgmt: { host: '10.0.0.1', port: 7948 } };
const ours = new Announcement({ clusterName: 'shop', nodeId: 'n1' }, ENDPOINTS);
const askAll = [{ name: SERVICE_TYPE, type: 'PTR' }];

function everythingOf(announcement: Announcement): DnsRecord[] {
  const { answers, additionals } = announcement.everything();
  return [...answers, ...additionals];
}

function openTable(): ServiceTable {
  return new ServiceTable(() => true);
}

describe('C5: the records of a node', () => {
  it('are PTR, SRV, TXT and A of `<cluster>_<kind>_<id>`, as clusterfunk has them', () => {
    const records = everythingOf(ours);
    const name = `shop_serf_n1.${SERVICE_TYPE}`;
    assert.equal(SERVICE_TYPE, '_clusterfunk._udp.local');
    assert.deepEqual(records.find(({ type, name: of }) => type === 'PTR' && of === SERVICE_TYPE)?.ttl, 4500);
    const srv = records.find((record) => record.type === 'SRV' && record.name === name);
    assert.ok(srv?.type === 'SRV' && srv.data.port === 7946 && srv.ttl === 120 && srv.flush === true);
    const txt = records.find((record) => record.type === 'TXT' && record.name === name);
    assert.ok(txt?.type === 'TXT');
    assert.deepEqual(txt.data.slice(0, 2), ['txtv=0', 'name=clusterfunk cluster node']);
    const address = records.find((record) => record.type === 'A');
    assert.deepEqual([address?.data, address?.name], ['10.0.0.1', srv.data.target]);
    assert.equal(records.filter(({ type }) => type === 'A').length, 1, 'one address, said once');
  });

  it('name a host of the node’s own, so that its goodbye takes nobody along', () => {
    const hostOf = (clusterName: string, nodeId: string, host: string): string | undefined =>
      everythingOf(new Announcement({ clusterName, nodeId }, { serf: { host, port: 1 } })).find(
        ({ type }) => type === 'A',
      )?.name;
    const names = [
      hostOf('a-b', 'c', '10.0.0.1'),
      hostOf('a', 'b-c', '10.0.0.1'),
      hostOf('a', 'b.c', '10.0.0.1'),
      hostOf('a', 'b.c', '10.0.0.2'),
    ];
    assert.equal(new Set(names).size, 4);
    for (const name of names) assert.match(name ?? '', /^[A-Za-z0-9-]{1,63}\.local$/);
  });

  it('point to DNS where the advertised host is a name, and speak IPv6 where it is one', () => {
    const named = everythingOf(
      new Announcement({ clusterName: 'a', nodeId: 'b' }, { serf: { host: 'n.example', port: 1 } }),
    );
    assert.deepEqual(
      named.map(({ type }) => type),
      ['PTR', 'SRV', 'TXT'],
    );
    const six = everythingOf(
      new Announcement({ clusterName: 'a', nodeId: 'b' }, { serf: { host: 'fe80::1', port: 1 } }),
    );
    assert.equal(six.find(({ type }) => type === 'AAAA')?.data, 'fe80::1');
  });
});

describe('whose a name is', () => {
  const text = (cluster: string): string[] => ['txtv=0', `cluster=${cluster}`];

  it('is decided by the whole cluster name, underscores and all', () => {
    assert.deepEqual(ownerOf('x_serf_n1', 'x', []), { kind: 'serf', nodeId: 'n1' });
    assert.deepEqual(ownerOf('x_mgmt_n_1', 'x', text('x')), { kind: 'mgmt', nodeId: 'n_1' });
    assert.equal(ownerOf('xy_serf_n1', 'x', []), undefined);
    assert.equal(ownerOf('x_svc_n1', 'x', []), undefined);
    assert.equal(ownerOf('x_serf_', 'x', []), undefined);
  });

  it('is not mistaken where a cluster is called like another and a kind', () => {
    assert.equal(ownerOf('x_serf_serf_a', 'x', text('x_serf')), undefined);
    assert.deepEqual(ownerOf('x_serf_serf_a', 'x_serf', text('x_serf')), { kind: 'serf', nodeId: 'a' });
    assert.deepEqual(ownerOf('x_serf_serf_a', 'x', text('x')), { kind: 'serf', nodeId: 'serf_a' });
  });

  it('is nobody’s when the service type is another', () => {
    assert.equal(labelOf('a_serf_b._other._udp.local'), undefined);
    assert.equal(labelOf(SERVICE_TYPE), undefined);
    assert.equal(labelOf(`a.b_serf_c.${SERVICE_TYPE.toUpperCase()}`), 'a.b_serf_c');
  });

  it('stays one label on the wire, dots and all', () => {
    const parted = Buffer.from('\u0001a\u0008b_serf_c\u000c_clusterfunk\u0004_udp\u0005local\u0000');
    const packet = Buffer.concat([Buffer.from([7, 1, 97, 0]), parted, parted]);
    joinLabels(packet, 'a.b_serf_c');
    assert.equal(packet.subarray(4, 16).toString('latin1'), '\u000aa.b_serf_c\u000c');
    assert.equal(packet.subarray(4).toString('latin1').split('a.b_serf_c').length, 3);
    const other = Buffer.from(parted);
    joinLabels(other, 'z.b_serf_c');
    assert.deepEqual(other, parted, 'another name is left alone');
  });
});

describe('a question', () => {
  it('for the service is answered with all that is needed to connect', () => {
    const reply = ours.answer(askAll, []);
    assert.deepEqual(
      reply?.answers.map(({ type }) => type),
      ['PTR', 'PTR'],
    );
    assert.deepEqual(reply?.additionals.map(({ type }) => type).sort(), ['A', 'SRV', 'SRV', 'TXT', 'TXT']);
  });

  it('is not answered with what the asker knows for more than half of its time', () => {
    const [serf, mgmt] = ours.everything().answers as [DnsRecord, DnsRecord];
    assert.deepEqual(ours.answer(askAll, [serf])?.answers, [mgmt]);
    assert.equal(ours.answer(askAll, [serf, mgmt]), undefined);
    assert.deepEqual(ours.answer(askAll, [{ ...serf, ttl: 2000 }, mgmt])?.answers, [serf]);
  });

  it('for types, an instance or a host is answered too, and for anything else is not', () => {
    assert.equal(ours.answer([{ name: ALL_SERVICE_TYPES, type: 'PTR' }], [])?.answers[0]?.data, SERVICE_TYPE);
    const instance = `shop_mgmt_n1.${SERVICE_TYPE}`;
    assert.deepEqual(
      ours.answer([{ name: instance, type: 'SRV' }], [])?.additionals.map(({ type }) => type),
      ['A'],
    );
    assert.deepEqual(
      ours.answer([{ name: instance.toUpperCase(), type: 'ANY' }], [])?.answers.map(({ type }) => type),
      ['SRV', 'TXT'],
    );
    const host = everythingOf(ours).find(({ type }) => type === 'A')?.name ?? '';
    assert.deepEqual(ours.answer([{ name: host, type: 'A' }], [])?.answers.length, 1);
    assert.equal(
      ours.answer(
        [
          { name: '_http._tcp.local', type: 'PTR' },
          { name: host, type: 'AAAA' },
        ],
        [],
      ),
      undefined,
    );
    assert.equal(new Announcement({ clusterName: 'a', nodeId: 'b' }, {}).answer(askAll, []), undefined);
  });

  it('of a plain resolver is answered with short-lived records', () => {
    const { answers, additionals } = legacyReply(ours.everything());
    assert.ok(
      [...answers, ...additionals].every(
        (record) => record.ttl === 10 && (record.type === 'PTR' || record.flush === false),
      ),
    );
  });
});

describe('what the link has told', () => {
  it('is found when it is complete, and gone with its goodbye', () => {
    const table = openTable();
    const [pointer] = ours.everything().answers as [DnsRecord];
    assert.deepEqual(table.take([pointer], 0).found, []);
    assert.deepEqual(table.unresolved(), ['shop_serf_n1']);
    const { found } = table.take(everythingOf(ours), 10);
    assert.deepEqual(
      found.map(({ instance, endpoint }) => [instance, endpoint.port]),
      [
        ['shop_serf_n1', 7946],
        ['shop_mgmt_n1', 7948],
      ],
    );
    assert.deepEqual(table.take(everythingOf(ours), 20), { found: [], gone: [] }, 'said again is no news');
    assert.equal(table.take(ours.goodbye().answers, 30).gone.length, 2);
    assert.deepEqual(table.found(), []);
    assert.equal(table.nextExpiry(), Number.POSITIVE_INFINITY, 'nothing is kept');
  });

  it('is found again when its port or its address changes', () => {
    const table = openTable();
    table.take(everythingOf(ours), 0);
    const moved = new Announcement({ clusterName: 'shop', nodeId: 'n1' }, { serf: { host: '10.0.0.9', port: 1 } });
    const withdrawn = table.take(ours.goodbyeBefore(moved).answers, 5);
    assert.deepEqual(withdrawn.gone.map(({ instance }) => instance).sort(), ['shop_mgmt_n1', 'shop_serf_n1']);
    const { found } = table.take(everythingOf(moved), 10);
    assert.deepEqual(
      found.map(({ endpoint }) => endpoint),
      [{ host: '10.0.0.9', port: 1 }],
    );
  });

  it('runs out with its time', () => {
    const table = openTable();
    table.take(everythingOf(ours), 0);
    assert.equal(table.nextExpiry(), 120_000);
    assert.deepEqual(table.expire(119_999).gone, []);
    assert.equal(table.expire(120_000).gone.length, 2, 'the host is gone, so nobody can be reached');
    assert.equal(table.knownPointers(120_000).length, 0, 'and it will be asked for');
  });

  it('is told to others as known only while it is fresh', () => {
    const table = openTable();
    table.take(everythingOf(ours), 0);
    assert.equal(table.knownPointers(59_000).length, 2);
    assert.equal(table.knownPointers(61_000).length, 0, 'so that the host is asked for before it runs out');
  });

  it('leaves out addresses that cannot be meant for us', () => {
    const table = new ServiceTable((address) => !address.startsWith('127.'));
    const lost = new Announcement({ clusterName: 'shop', nodeId: 'n1' }, { serf: { host: '127.0.0.1', port: 1 } });
    assert.deepEqual(table.take(everythingOf(lost), 0).found, []);
  });

  it('cannot fill memory, whatever strangers say', () => {
    const table = openTable();
    for (let i = 0; i < 6000; i++) {
      const data = `x_serf_${i}.${SERVICE_TYPE}`;
      table.take([{ type: 'PTR', name: SERVICE_TYPE, ttl: 60, data }], 0);
      if (i % 20 === 0) table.take([{ type: 'A', name: 'h.local', ttl: 60, data: `10.0.${i >> 8}.${i & 255}` }], 0);
    }
    assert.equal(table.unresolved().length, 4096);
    assert.ok(table.refused > 1900);
  });

  it('never throws, in whatever order records come', () => {
    const record = fc.constantFrom(...everythingOf(ours), ...ours.goodbye().answers);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.array(record), fc.nat(200_000))), (packets) => {
        const table = openTable();
        let now = 0;
        const shown = new Set<string>();
        for (const [records, later] of packets) {
          now += later;
          const { found, gone } = table.take(records, now);
          for (const service of gone) assert.ok(shown.delete(service.instance), 'only what was found can be gone');
          for (const service of found) shown.add(service.instance);
          assert.deepEqual(new Set(table.found().map(({ instance }) => instance)), shown);
        }
      }),
    );
  });
});

describe('when to speak', () => {
  function drive(until: number): Record<string, number[]> {
    const schedule = new Schedule(new SeededRandom(4), 0);
    schedule.announce(0);
    const log: Record<string, number[]> = { query: [], announce: [], answer: [], searched: [] };
    for (let now = 0; now <= until; now = Math.max(now + 1, Math.ceil(schedule.next()))) {
      if (schedule.takeAnnouncement(now)) log['announce']?.push(now);
      if (schedule.takeAnswer(now)) log['answer']?.push(now);
      if (schedule.takeQuery(now)) log['query']?.push(now);
      if (schedule.takeSearched(now)) log['searched']?.push(now);
    }
    return log;
  }

  it('asks at 0, 100, 300, 550 and 1500 ms and then ever less, at least twice a minute', () => {
    const { query = [], announce, searched } = drive(200_000);
    assert.deepEqual(query.slice(0, 5), [0, 100, 300, 550, 1500]);
    const pauses = query.slice(8).map((at, index) => at - (query[index + 7] as number));
    assert.ok(
      pauses.every((pause) => pause >= 9_999 && pause <= 30_001),
      String(pauses),
    );
    assert.deepEqual(announce, [0, 1000]);
    assert.deepEqual(searched, [800]);
  });

  it('does not call a search done before four questions had their time, however late the timers are', () => {
    const schedule = new Schedule(new SeededRandom(4), 0);
    const asked: number[] = [];
    for (const now of [0, 900, 1800, 2700]) if (schedule.takeQuery(now)) asked.push(now);
    assert.equal(asked.length, 4);
    assert.equal(schedule.takeSearched(2949), false);
    assert.equal(schedule.takeSearched(2950), true);
    assert.equal(schedule.takeSearched(2951), false, 'once');
  });

  it('answers all who ask within a moment by one packet, at most four times a second', () => {
    const schedule = new Schedule(new SeededRandom(4), 0);
    const answer: number[] = [];
    for (let now = 0; now < 4000; now += 5) {
      if (now > 2000) schedule.answer(now);
      if (schedule.takeAnswer(now)) answer.push(now);
    }
    assert.ok(answer.length > 1 && answer.length <= 9, String(answer));
    assert.ok(
      answer.slice(1).every((at, index) => at - (answer[index] as number) >= 250),
      String(answer),
    );
  });

  it('lets another’s question stand for its own once it has searched', () => {
    const schedule = new Schedule(new SeededRandom(4), 0);
    for (let now = 0; now < 2000; now += 10) {
      schedule.takeQuery(now);
      schedule.takeSearched(now);
    }
    const early = new Schedule(new SeededRandom(4), 0);
    early.heardQuery(0);
    assert.equal(early.takeQuery(0), true, 'never during the search');
    for (let i = 0; i < 10; i++) {
      schedule.takeQuery(schedule.next());
      schedule.heardQuery(100_000);
    }
    assert.ok(schedule.next() >= 110_000);
  });
});

describe('--join', () => {
  const names: NameService = {
    addresses: (host) =>
      host === 'db.example'
        ? Promise.resolve(['10.0.0.1', 'fd00::1'])
        : Promise.reject(Object.assign(new Error('no'), { code: 'ENOTFOUND' })),
    services: () =>
      Promise.resolve([
        { name: 'db.example', port: 99 },
        { name: '10.9.9.9', port: 98 },
      ]),
  };

  it('takes every address of a name, the default port, and the targets of an SRV name', async () => {
    const { endpoints, failures } = await resolveJoin(
      ['10.0.0.1', 'db.example:1', 'db.example', '_funk._tcp.example'],
      names,
    );
    assert.deepEqual(
      endpoints.map(({ host, port }) => `${host} ${port}`),
      ['10.0.0.1 7946', '10.0.0.1 1', 'fd00::1 1', 'fd00::1 7946', '10.0.0.1 99', 'fd00::1 99', '10.9.9.9 98'],
    );
    assert.deepEqual(failures, []);
  });

  it('tells which names did not resolve, and goes on with the others', async () => {
    const { endpoints, failures } = await resolveJoin(['nowhere', '10.0.0.2:5'], names);
    assert.deepEqual(endpoints, [{ host: '10.0.0.2', port: 5 }]);
    assert.deepEqual(failures, ['nowhere: ENOTFOUND']);
  });
});
