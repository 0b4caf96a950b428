/** A host (IPv4, IPv6 or DNS name) and a port. */
export interface Endpoint {
  readonly host: string;
  /** 0 to 65535; 0 means "any free one" where a socket is about to be bound. */
  readonly port: number;
}

/** `host:port`, with brackets around an IPv6 host. */
export function formatEndpoint(endpoint: Endpoint): string {
  return endpoint.host.includes(':') ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}

/** Reads `host:port`, `[v6]:port` or, when `defaultPort` is given, a bare host. Undefined when it is none of these. */
export function parseEndpoint(text: string, defaultPort?: number): Endpoint | undefined {
  const bracketed = /^\[([0-9A-Fa-f:.%]+)\](?::(\d{1,5}))?$/.exec(text);
  const plain = bracketed ?? /^([^:\s/[\]]+)(?::(\d{1,5}))?$/.exec(text);
  if (plain === null) return undefined;
  const host = plain[1] as string;
  const port = plain[2] === undefined ? defaultPort : Number(plain[2]);
  if (port === undefined || port > 65_535) return undefined;
  return { host, port };
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return a.port === b.port && a.host === b.host;
}
