// What people ask of the node: one call at a time for each button, and words when it went wrong.
import { useQueryClient } from '@tanstack/vue-query';
import { reactive } from 'vue';
import { type Method, type Params, rpc } from '@/api/rpc';
import { complain } from '@/ui/toasts';

const busy = reactive(new Set<string>());

/** A call is under way under this name. */
export const isBusy = (name: string): boolean => busy.has(name);

/** Does it unless it is being done; false when it failed, which was then said. */
export async function act(name: string, work: () => Promise<unknown>): Promise<boolean> {
  if (busy.has(name)) return false;
  busy.add(name);
  try {
    await work();
    return true;
  } catch (error) {
    complain(error);
    return false;
  } finally {
    busy.delete(name);
  }
}

/** Methods that a repair may name; others are not for a button. */
const REPAIRS: ReadonlySet<string> = new Set<Method>([
  'package.start', 'package.stop', 'package.restart', 'package.rollback', 'package.migrate', 'server.get-state',
]);

/** Methods of apps that a button calls. */
type AppMethod = Extract<Method, 'package.start' | 'package.stop' | 'package.restart' | 'package.rollback' | 'package.update' | 'package.uninstall' | 'package.install' | 'package.config.set' | 'package.migrate' | 'package.cancel'>;

export function useApp() {
  const queries = useQueryClient();
  /** Asks for it; false when it was refused, which was then said. */
  async function call<M extends AppMethod>(method: M, params: Params<M> & { id: string }): Promise<boolean> {
    const ask = rpc as (method: M, params: Params<M>) => Promise<unknown>;
    const done = await act(`${method}:${params.id}`, () => ask(method, params));
    void queries.invalidateQueries({ queryKey: ['app', params.id] });
    return done;
  }
  /** Does what the node names as repair; false when that is for a question to ask first. */
  function repair(method: string, id: string): boolean {
    if (!REPAIRS.has(method)) return false;
    if (method === 'server.get-state') void act(`${method}:${id}`, () => rpc('server.get-state'));
    else void call(method as 'package.start', { id });
    return true;
  }
  return { call, repair };
}
