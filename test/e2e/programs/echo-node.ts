/** A node with an echo service on it, as a process: arguments are its id, its folder, the cluster's name, and whom to join (or `found`). */
import { FunkNode, formatEndpoint } from '../../../src/index.ts';
import { EchoServer } from '../../routing/client/echo-server.ts';

const [id = '', dataDir = '', clusterName = '', join = ''] = process.argv.slice(2);
const server = await new EchoServer(id).start();
const node = new FunkNode({
  clusterName,
  nodeId: id,
  dataDir,
  interface: '127.0.0.1',
  shards: 64,
  thread: 'caller',
  ...(join === 'found' ? { bootstrap: true } : { join }),
});
await node.start();
await node.setEndpoint('echo', { host: '127.0.0.1', port: server.port });
const { endpoints } = node.view();
const at = (tag: string): string => formatEndpoint(endpoints.get(tag) ?? { host: '', port: 0 });
process.stdout.write(`${JSON.stringify({ serf: at('ep.serf'), management: at('ep.clusterfunk.management') })}\n`);
// Whoever started it has gone, or wants it to.
process.stdin.on('end', () => process.exit(0)).resume();
