// Questions about identities, each in one place with its key.
import { useQuery, useQueryClient } from '@tanstack/vue-query';
import { rpc } from '@/api/rpc';

export const PURPOSES = ['personal', 'business', 'anonymous'] as const;

export function useIdentities() {
  return useQuery({ queryKey: ['identities'], queryFn: ({ signal }) => rpc('identity.list', {}, { signal }) });
}
export function useRelays() {
  return useQuery({ queryKey: ['relays'], queryFn: ({ signal }) => rpc('nostr.list-relays', {}, { signal }), refetchInterval: 15_000 });
}
export function useAffected() {
  return useQuery({ queryKey: ['identities', 'affected'], queryFn: ({ signal }) => rpc('identity.affected-apps', {}, { signal }) });
}
export function useConsents() {
  return useQuery({ queryKey: ['consents'], queryFn: ({ signal }) => rpc('identity.consent-list', {}, { signal }) });
}
/** After a change of identities: whatever depends on them is asked anew. */
export function useChanged(): () => Promise<void> {
  const queries = useQueryClient();
  return async () => {
    await queries.invalidateQueries({ queryKey: ['identities'] });
    await queries.invalidateQueries({ queryKey: ['relays'] });
  };
}
