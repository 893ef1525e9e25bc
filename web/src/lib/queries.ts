// Questions to the node beside its state, each in one place with its key.
import { keepPreviousData, useQuery } from '@tanstack/vue-query';
import { computed, type MaybeRefOrGetter, toValue } from 'vue';
import { rpc } from '@/api/rpc';
import type { PlanParams } from '@/api/types';
import { newer } from './version';

export function useAvailable() {
  return useQuery({ queryKey: ['available'], queryFn: ({ signal }) => rpc('package.available', {}, { signal }), staleTime: 30_000 });
}

/** Newer versions that the node offers, by app. */
export function useUpdates() {
  const { data } = useAvailable();
  const offered = computed(() => new Map(data.value?.apps.map((app) => [app.id, app.version])));
  return (id: string, installed: string): string | null => newer(offered.value.get(id), installed);
}

/** `version` is asked afresh when it changes: what the state tells of the app. */
export function useExplain(id: MaybeRefOrGetter<string>, version: MaybeRefOrGetter<unknown>) {
  return useQuery({
    queryKey: ['app', id, 'explain', version],
    queryFn: ({ signal }) => rpc('package.explain', { id: toValue(id) }, { signal }),
    placeholderData: keepPreviousData,
  });
}

export function useHistory(id: MaybeRefOrGetter<string | undefined>, limit: MaybeRefOrGetter<number>, version: MaybeRefOrGetter<unknown>) {
  return useQuery({
    queryKey: ['app', id, 'history', limit, version],
    queryFn: ({ signal }) => {
      const app = toValue(id);
      return rpc('package.history', { ...(app ? { id: app } : {}), limit: toValue(limit), full: true }, { signal });
    },
    placeholderData: keepPreviousData,
  });
}

export function useConfig(id: MaybeRefOrGetter<string>) {
  return useQuery({
    queryKey: ['app', id, 'config'],
    queryFn: ({ signal }) => rpc('package.config.get', { id: toValue(id) }, { signal }),
    // a form must not change under somebody's hands
    refetchOnWindowFocus: false,
  });
}

export function usePlan(params: MaybeRefOrGetter<PlanParams>, enabled: MaybeRefOrGetter<boolean> = true) {
  return useQuery({
    queryKey: ['plan', params],
    queryFn: ({ signal }) => rpc('package.plan', toValue(params), { signal }),
    enabled: () => toValue(enabled),
    gcTime: 0,
    staleTime: 0,
  });
}

export function useStats() {
  return useQuery({ queryKey: ['stats'], queryFn: ({ signal }) => rpc('system.stats', {}, { signal }), refetchInterval: 5_000 });
}

export function useInfo() {
  return useQuery({ queryKey: ['info'], queryFn: ({ signal }) => rpc('system.info', {}, { signal }), staleTime: 60_000 });
}

export function useNodeCa() {
  return useQuery({ queryKey: ['node-ca'], queryFn: ({ signal }) => rpc('system.node-ca', {}, { signal }), staleTime: 60_000 });
}

export function useDoctor() {
  return useQuery({ queryKey: ['doctor'], queryFn: ({ signal }) => rpc('system.doctor', {}, { signal }), staleTime: 60_000 });
}
