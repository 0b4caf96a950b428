/**
 * Runs a real node beside a running Avahi daemon, and prints as JSON what `avahi-browse` resolves while it runs, after it has left,
 * and where the node said that it listens. Argument: the address to run on.
 */
import { runProgram, until } from '../../peers/peer.ts';
import { freshClusterName, Scratch, settled } from '../node-process.ts';

const [address = ''] = process.argv.slice(2);

/** `=;funk0;IPv4;shop_serf_a;_clusterfunk._udp;local;host.local;10.77.0.1;7946;"txtv=0" ...`, by instance. */
async function seenByAvahi(): Promise<Record<string, string>> {
  const lines = (await runProgram('avahi-browse', ['-rpt', '_clusterfunk._udp'])).split('\n');
  const fields = lines.filter((line) => line.startsWith('=')).map((line) => line.split(';'));
  return Object.fromEntries(fields.map(([, , , name, , , , host, port, text]) => [name, `${host}:${port} ${text}`]));
}

/** What Avahi sees as soon as it is so many services. */
async function seenOnce(count: number): Promise<Record<string, string>> {
  let seen: Record<string, string> = {};
  const look = async (): Promise<true | string> => {
    seen = await seenByAvahi();
    return Object.keys(seen).length === count || JSON.stringify(seen);
  };
  await until(`avahi sees ${count} services`, look, 20_000);
  return seen;
}

await using scratch = new Scratch();
const cluster = freshClusterName();
const node = scratch.start({ id: 'n1', cluster, interface: address });
await settled([node]);
const present = await seenOnce(2);
const serf = await node.endpoint('ep.serf');
const management = await node.endpoint('ep.clusterfunk.management');
node.signal('SIGTERM');
const { code } = await node.ended;
const left = await seenOnce(0);
process.stdout.write(JSON.stringify({ cluster, present, serf, management, code, left }));
