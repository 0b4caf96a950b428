/** `funkctl diag`: everything that mDNS finds within five seconds. */
import type { GlobalOptions } from '../options.ts';
import { look } from '../mdns.ts';
import { printable, printJson, printTable } from '../output.ts';

const DIAG_MS = 5_000;

export async function diagnose(options: GlobalOptions): Promise<void> {
  const forMs = Math.min(DIAG_MS, options.timeoutMs);
  const found = await look(options, { forMs, wanted: 'everything', until: 'time is over' });
  const ofCluster = found.filter(
    ({ instance }) => options.clusterName === undefined || instance.startsWith(`${options.clusterName}_`),
  );
  const services = ofCluster.map(({ instance, hostName, port, ipv4, ipv6 }) => ({
    instance,
    hostName,
    port,
    ipv4,
    ipv6,
  }));
  if (options.json) return printJson({ services });
  printTable([
    ['Instance', 'HostName', 'Port', 'IPv4', 'IPv6'],
    ...services.map((service) => [
      printable(service.instance),
      printable(service.hostName),
      String(service.port),
      service.ipv4.join(','),
      service.ipv6.join(','),
    ]),
  ]);
}
