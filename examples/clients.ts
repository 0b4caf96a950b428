/**
 * Clients of a cluster: two nodes in this process carry a small web service, and a client that is no node finds it, follows it, and asks whoever owns
 * a key, also when one of the two stops. After a build: `node dist/examples/clients.js`. Everything stays on loopback and in memory; it ends by itself.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { openClusterReader, shardFetch, shardOfString } from '../src/client.ts';
import { FunkNode, formatEndpoint, type NodeOptions } from '../src/index.ts';

const KEYS = ['apple', 'banana', 'cherry', 'date', 'elder', 'fig'];
/** On a machine that is not busy, all of this takes five seconds. */
const patience = AbortSignal.timeout(120_000);

const common: NodeOptions = { clusterName: `clients-${process.pid}`, interface: '127.0.0.1', inMemory: true };

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The service: tells who serves a key, and refuses what belongs to another. */
async function serve(node: FunkNode): Promise<Server> {
  const server = createServer((request, response) => {
    const key = (request.url ?? '/').slice(1);
    const shard = shardOfString(key, node.shards.count);
    const ownership = node.owns(shard);
    if (ownership !== undefined) {
      response.end(`${key} is served by ${node.id}`);
      return;
    }
    // What a client of the cluster understands: not here, and nothing has been done.
    const owner = node.shards.ownerOf(shard);
    const isMoved = owner !== undefined && owner !== node.id;
    response.writeHead(isMoved ? 421 : 503, {
      'funknode-reason': isMoved ? 'moved' : 'moving',
      ...(isMoved && { 'funknode-owner': owner }),
    });
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await node.setEndpoint('web', { host: '127.0.0.1', port });
  return server;
}

const a = new FunkNode({ ...common, nodeId: 'a', bootstrap: true });
await a.start();
const serverOfA = await serve(a);
const gossip = a.view().endpoints.get('ep.serf');
const management = a.view().endpoints.get('ep.clusterfunk.management');
if (gossip === undefined || management === undefined) throw new Error('a started node has its endpoints');

// From here on a client: it knows one address, and learns the rest.
await using reader = openClusterReader(formatEndpoint(management));
const first = await reader.waitForEndpoint('web', { signal: patience });
say(`client: ${first.node} serves ep.web`);
const endObserving = reader.observeEndpoints(({ change, node, name }) => say(`client: ${name} of ${node} ${change}`), {
  name: 'web',
});

const b = new FunkNode({ ...common, nodeId: 'b', join: formatEndpoint(gossip) });
await b.start();
const serverOfB = await serve(b);
for await (const map of reader.shardMaps({ signal: patience })) if (map?.owners.length === 2) break;
await new Promise((resolve) => setTimeout(resolve, 500));

const web = shardFetch({ source: reader, endpoint: 'web' });
async function askAll(): Promise<Set<string>> {
  const owners = new Set<string>();
  for (const key of KEYS) {
    const answer = await web.fetch(`/${key}`, { shardOf: (count) => shardOfString(key, count), signal: patience });
    const text = await answer.text();
    say(`client: ${text}`);
    owners.add(text.slice(-1));
  }
  return owners;
}

say(`client: ${(await askAll()).size} nodes answered`);
// The node that the client watched goes: it watches the other one, and asks that for everything.
await a.stop();
serverOfA.close();
serverOfA.closeAllConnections();
say(`client: ${(await askAll()).size} node answers for all`);
endObserving();
await reader.close();
await b.stop();
serverOfB.close();
serverOfB.closeAllConnections();
say('done');
