// Calls of the node's API, typed by the generated table of methods.
import { CSRF_METHODS, ERROR_HINTS, type ErrorObject, type Methods, type NoParams } from './types';

export type Method = keyof Methods;
export type Params<M extends Method> = Methods[M]['params'];
export type Result<M extends Method> = Methods[M]['result'];

/** How long a call may take (ms). */
const LIMIT = 60_000;

/** Why a call gave no result. `code` is the API's, or one of ours: `no-answer`, `bad-answer`. */
export class RpcError extends Error {
  readonly code: string;
  readonly hint: string | undefined;
  readonly status: number;
  /** Seconds to wait, when there were too many calls. */
  readonly retryAfter: number | undefined;
  readonly logId: string | undefined;

  constructor(message: string, code: string, status = 0, data: ErrorObject['data'] = undefined) {
    super(message);
    this.name = 'RpcError';
    this.code = code;
    this.status = status;
    this.hint = data?.hint ?? ERROR_HINTS[code];
    this.retryAfter = data?.retry_after;
    this.logId = data?.log_id;
  }

  /** The session is over, or there was none. */
  get isSession(): boolean {
    return this.status === 401 && this.code !== 'password-incorrect';
  }
}

interface Watcher {
  /** A call said that there is no session. */
  ended(code: string): void;
  /** The server's clock (ms since 1970). */
  clock(at: number): void;
}
let watcher: Watcher | null = null;

/** Who is told of ended sessions and of the node's clock. */
export function watch(who: Watcher | null): void {
  watcher = who;
}

export function cookie(name: string): string {
  const pair = document.cookie.split('; ').find((one) => one.startsWith(`${name}=`));
  return pair?.slice(name.length + 1) ?? '';
}

interface Options {
  /** How long it may take (ms). */
  limit?: number;
  signal?: AbortSignal;
}

/** Calls a method; throws a [RpcError]. */
export async function rpc<M extends Method>(method: M, ...rest: Arguments<M>): Promise<Result<M>> {
  const [params, options = {}] = rest as [Params<M>?, Options?];
  const { answer, body } = await ask(method, params ?? {}, options);
  const date = Date.parse(answer.headers.get('Date') ?? '');
  if (!Number.isNaN(date)) watcher?.clock(date);
  if (!body.error) return (body.result ?? null) as Result<M>;
  const { message, data } = body.error;
  const error = new RpcError(message, data?.code ?? 'internal', answer.status, data);
  if (error.isSession) watcher?.ended(error.code);
  throw error;
}

/** Methods that need no parameters are called without; every call may have options. */
type Arguments<M extends Method> =
  NoParams extends Params<M> ? [params?: Params<M>, options?: Options] : [params: Params<M>, options?: Options];

interface Body {
  result?: unknown;
  error?: ErrorObject | null;
}

async function ask(method: string, params: object, options: Options): Promise<{ answer: Response; body: Body }> {
  const headers: Record<string, string> = { 'Content-Type': 'application/json' };
  if (CSRF_METHODS.has(method)) headers['X-CSRF-Token'] = cookie('csrf_token');
  const limit = AbortSignal.timeout(options.limit ?? LIMIT);
  let answer: Response;
  try {
    answer = await fetch('/rpc/v1', {
      method: 'POST',
      credentials: 'same-origin',
      headers,
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      signal: options.signal ? AbortSignal.any([options.signal, limit]) : limit,
    });
  } catch (cause) {
    if (options.signal?.aborted) throw cause;
    throw new RpcError('The node does not answer.', 'no-answer');
  }
  try {
    return { answer, body: (await answer.json()) as Body };
  } catch {
    throw new RpcError('The node did not answer as it should.', 'bad-answer', answer.status);
  }
}

/** What went wrong, whatever was thrown. */
export function asError(thrown: unknown): RpcError {
  if (thrown instanceof RpcError) return thrown;
  return new RpcError(thrown instanceof Error ? thrown.message : String(thrown), 'page-fault');
}
