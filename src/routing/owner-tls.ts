/** TLS to the owners of shards. */
import type { ConnectionOptions } from 'node:tls';

/** As in `node:tls`. Owners are dialled by address: with names in their certificates, set `servername` to one that all of them carry. */
export type OwnerTlsSettings = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'servername' | 'checkServerIdentity' | 'minVersion' | 'ALPNProtocols'
>;

/** Settings, or where to take them from at each new connection, so that renewed certificates are used without a restart. */
export type OwnerTls = OwnerTlsSettings | (() => OwnerTlsSettings);

export function tlsSettings(tls: OwnerTls): OwnerTlsSettings {
  return typeof tls === 'function' ? tls() : tls;
}
