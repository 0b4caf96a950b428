/** The kinds of values that options take, read alike from a flag, the environment, a file and a program. */
import { type HandlerSpec, parseHandlerSpec } from '../events/handler-spec.ts';
import { z } from 'zod';
import { decodeBase64 } from '../base/base64.ts';
import { type Endpoint, parseEndpoint } from '../model/endpoint.ts';
import { type IpNetwork, parseNetwork } from '../wire/memberlist/network.ts';
import { keyProblem } from '../wire/memberlist/sealing.ts';

/** Where gossip listens unless it is told otherwise. */
export const GOSSIP_PORT = 7946;

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;
const SRV_NAME = /^_[A-Za-z0-9-]+\._(?:tcp|udp)\.[A-Za-z0-9._-]+$/;
const HOST = /^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:.]+$/;

/** What a schema says beyond "this is not what was expected". */
function refuse(context: z.RefinementCtx, hint: string): never {
  context.addIssue({ code: 'custom', message: hint });
  return z.NEVER;
}

export function whole(low: number, high: number): z.ZodType<number> {
  return number(/^\d+$/, low, high, Number.isInteger);
}

export function decimal(low: number, high: number): z.ZodType<number> {
  return number(/^\d+(?:\.\d+)?$/, low, high, Number.isFinite);
}

/** One step and no pipe of schemas: a hundred options have one of these, and all are made at every start. */
function number(pattern: RegExp, low: number, high: number, isFit: (value: number) => boolean): z.ZodType<number> {
  return z.unknown().transform((value, context): number => {
    const given = typeof value === 'string' && pattern.test(value) ? Number(value) : value;
    return typeof given === 'number' && isFit(given) && given >= low && given <= high ? given : refuse(context, '');
  });
}

export function word(pattern: RegExp): z.ZodType<string> {
  return z.unknown().transform((value, context): string => {
    const text = typeof value === 'number' ? String(value) : value;
    return typeof text === 'string' && pattern.test(text) ? text : refuse(context, '');
  });
}

/** A key of 16, 24 or 32 bytes in base64. */
export function gossipKey(): z.ZodType<Uint8Array> {
  return z.unknown().transform((value, context): Uint8Array => {
    const key = typeof value === 'string' ? decodeBase64(value.trim()) : undefined;
    if (key === undefined) return refuse(context, 'it is not base64; "funkctl keygen" makes a key');
    const problem = keyProblem(key);
    return problem === undefined ? key : refuse(context, `it has ${key.length} bytes`);
  });
}

/** `true` or `false`; the words and the digits too, as environments like to write them. */
export function toggle(): z.ZodType<boolean> {
  const words = { true: true, '1': true, false: false, '0': false };
  return z.unknown().transform((value, context): boolean => {
    if (typeof value === 'boolean') return value;
    const known = typeof value === 'string' && Object.hasOwn(words, value);
    return known ? words[value as keyof typeof words] : refuse(context, '');
  });
}

/** One of `names`, or a second name that stands for one of them. */
export function choice<Name extends string>(
  names: readonly Name[],
  aliases: Readonly<Record<string, Name>> = {},
): z.ZodType<Name> {
  return z.unknown().transform((value, context): Name => {
    const found = names.find((name) => name === value);
    if (found !== undefined) return found;
    const alias = typeof value === 'string' && Object.hasOwn(aliases, value) ? aliases[value] : undefined;
    return alias ?? refuse(context, '');
  });
}

/** Milliseconds: a number of them from a program, `150ms`, `2s`, `5m` from people. */
export function duration(lowMs: number, highMs: number): z.ZodType<number> {
  return z.unknown().transform((value, context): number => {
    const ms = typeof value === 'number' ? value : durationMs(plainText(value));
    if (ms !== undefined && ms >= lowMs && ms <= highMs) return ms;
    const isBare = typeof value === 'string' && /^\d+$/.test(value);
    return refuse(context, isBare ? `give it a unit: ${value}ms or ${value}s` : '');
  });
}

/** `150ms` → 150; undefined when it is no duration. */
export function durationMs(text: string): number | undefined {
  const match = DURATION.exec(text);
  return match === null ? undefined : Number(match[1]) * (UNIT_MS[match[2] as string] as number);
}

/** A part of one: `0.02`, or `2%`. */
export function ratio(low: number, high: number): z.ZodType<number> {
  return z.unknown().transform((value, context): number => {
    const match = /^(\d+(?:\.\d+)?)(%?)$/.exec(plainText(value));
    const part = match === null ? Number.NaN : match[2] === '%' ? Number(match[1]) / 100 : Number(match[1]);
    if (part >= low && part <= high) return part;
    return refuse(context, part >= 1 && part / 100 <= high ? `did you mean ${plainText(value)}%?` : '');
  });
}

/** `host:port` or `:port`, whose host is empty and means the interface. Port 0 takes any free one. */
export function bindEndpoint(): z.ZodType<Endpoint> {
  return endpoint((text) => {
    const onInterface = /^:(\d{1,5})$/.exec(text);
    if (onInterface === null) return parseEndpoint(text);
    const port = Number(onInterface[1]);
    return port <= 65_535 ? { host: '', port } : undefined;
  });
}

/** `host:port`, or `host`, whose port 0 means the one that was bound. */
export function advertisedEndpoint(): z.ZodType<Endpoint> {
  return endpoint((text) => parseEndpoint(text, 0));
}

function endpoint(parse: (text: string) => Endpoint | undefined): z.ZodType<Endpoint> {
  return z.unknown().transform((value, context): Endpoint => {
    const given = typeof value === 'object' && value !== null ? (value as Partial<Endpoint>) : undefined;
    const text =
      given === undefined ? plainText(value) : `${bracketed(plainText(given.host))}:${plainText(given.port)}`;
    const parsed = parse(text);
    if (parsed !== undefined && (parsed.host === '' || HOST.test(parsed.host))) return parsed;
    return refuse(context, /^\d+$/.test(text) ? `a port alone is written :${text}` : '');
  });
}

function bracketed(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}

/** Addresses to join, in one text with commas or in many: `host`, `host:port`, or the name of an SRV record. */
export function joinAddresses(): z.ZodType<readonly string[]> {
  return z.unknown().transform((value, context): readonly string[] => {
    const parts = (Array.isArray(value) ? value : [value]).flatMap((part) => plainText(part).split(/[\s,]+/));
    const addresses = parts.filter((part) => part !== '');
    const bad = addresses.find((address) => !isJoinAddress(address));
    if (bad !== undefined) return refuse(context, addresses.length > 1 ? `"${bad}" is none` : '');
    return [...new Set(addresses)];
  });
}

/** Servers in one text with commas or in many: `http://host:port` or `https://host:port`. */
export function httpAddresses(): z.ZodType<readonly string[]> {
  return z.unknown().transform((value, context): readonly string[] => {
    const parts = (Array.isArray(value) ? value : [value]).flatMap((part) => plainText(part).split(/[\s,]+/));
    const addresses = parts.filter((part) => part !== '').map((part) => part.replace(/\/$/, ''));
    const bad = addresses.find((address) => !isHttpAddress(address));
    if (bad !== undefined) return refuse(context, addresses.length > 1 ? `"${bad}" is none` : '');
    return [...new Set(addresses)];
  });
}

function isHttpAddress(text: string): boolean {
  const match = /^https?:\/\/(.+)$/.exec(text);
  const endpoint = match === null ? undefined : parseEndpoint(match[1] as string);
  return endpoint !== undefined && endpoint.port > 0;
}

/** Networks in one text with commas or in many: `10.0.0.0/8`. */
export function networks(): z.ZodType<readonly IpNetwork[]> {
  return z.unknown().transform((value, context): readonly IpNetwork[] => {
    const parts = (Array.isArray(value) ? value : [value]).flatMap((part) => plainText(part).split(/[\s,]+/));
    return parts
      .filter((part) => part !== '')
      .map((part) => parseNetwork(part) ?? refuse(context, `"${part}" is no network`));
  });
}

/** Scripts hold commas and spaces: each is a value of its own. */
export function handlerSpecs(): z.ZodType<readonly HandlerSpec[]> {
  return z.unknown().transform((value, context): readonly HandlerSpec[] => {
    const specs: HandlerSpec[] = [];
    for (const text of Array.isArray(value) ? value : [value]) {
      const spec = parseHandlerSpec(plainText(text));
      if (typeof spec === 'string') return refuse(context, spec);
      specs.push(spec);
    }
    return specs;
  });
}

export function isSrvName(text: string): boolean {
  return SRV_NAME.test(text);
}

function isJoinAddress(text: string): boolean {
  const parsed = parseEndpoint(text, GOSSIP_PORT);
  return isSrvName(text) || (parsed !== undefined && parsed.port > 0 && HOST.test(parsed.host));
}

/** `k=v` texts with commas or in a list, or a record. A later one of the same key wins. */
export function tagMap(): z.ZodType<ReadonlyMap<string, string>> {
  return z.unknown().transform((value, context): ReadonlyMap<string, string> => {
    const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value);
    const pairs = isRecord
      ? Object.entries(value).map(([key, held]) => `${key}=${plainText(held)}`)
      : (Array.isArray(value) ? value : [value]).flatMap((part) => splitPairs(plainText(part)));
    const bad = pairs.find((pair) => !/^[^=\s]+=/.test(pair));
    if (bad !== undefined) return refuse(context, `"${bad}" has no key or no "="`);
    return new Map(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
  });
}

/** A comma parts two tags only where a `key=` follows, so that a value may hold commas. */
function splitPairs(text: string): string[] {
  return text.split(/,(?=[^,=\s]+=)/).filter((pair) => pair !== '');
}

/** Of what is neither a text nor a number nor a truth value no option can be made; it may not even become a text. */
function plainText(value: unknown): string {
  return ['string', 'number', 'boolean', 'bigint'].includes(typeof value) ? String(value) : '';
}
