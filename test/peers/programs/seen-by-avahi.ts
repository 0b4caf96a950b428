/** Announces a node beside a running Avahi daemon, and prints as JSON what `avahi-browse` sees before and after its goodbye. */
import { SeededRandom } from '../../../src/base/random.ts';
import { browse } from '../../../src/discovery/browse.ts';
import { Discovery } from '../../../src/discovery/discovery.ts';
import { runProgram, until } from '../peer.ts';

const ON = { address: '10.77.0.1', name: 'funk0' };

interface Seen {
  readonly name: string;
  readonly host: string;
  readonly address: string;
  readonly port: number;
  readonly text: string;
}

/** `=;funk0;IPv4;shop_serf_a\.b;_clusterfunk._udp;local;host.local;10.77.0.1;7946;"txtv=0" ...` */
async function seenByAvahi(): Promise<Seen[]> {
  const lines = (await runProgram('avahi-browse', ['-rpt', '_clusterfunk._udp'])).split('\n');
  return lines
    .filter((line) => line.startsWith('='))
    .map((line) => line.split(';'))
    .map(([, , , name = '', , , host = '', address = '', port, text = '']) => ({
      name,
      host,
      address,
      port: Number(port),
      text,
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

const node = new Discovery({ interface: ON, clusterName: 'shop', nodeId: 'a.b', random: new SeededRandom(1) });
node.announce({ serf: { host: ON.address, port: 7946 }, mgmt: { host: ON.address, port: 7948 } });
await node.start();
const present = await seenOnce(2);
const browsed = await browse({ interface: ON, clusterName: 'shop', forMs: 500, random: new SeededRandom(2) });
await node.stop();
const left = await seenOnce(0);
process.stdout.write(JSON.stringify({ present, browsed, left }));

/** What Avahi sees as soon as it is `count` services; fails when that takes too long. */
async function seenOnce(count: number): Promise<Seen[]> {
  let seen: Seen[] = [];
  const look = async (): Promise<string | true> => {
    seen = await seenByAvahi();
    return seen.length === count || JSON.stringify(seen);
  };
  await until(`avahi sees ${count} services`, look, 10_000);
  return seen;
}
