// Questions to the node beside its state, each in one place with its key.
import { keepPreviousData, useQuery } from '@tanstack/vue-query';
import { computed, type MaybeRefOrGetter, toValue } from 'vue';
import { rpc } from '@/api/rpc';
import type { LogLevel, MetricsRange, PlanParams } from '@/api/types';
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

/** Figures over time, of an app or of the node. */
export function useMetrics(app: MaybeRefOrGetter<string | undefined>, range: MaybeRefOrGetter<MetricsRange>) {
  return useQuery({
    queryKey: ['metrics', app, range],
    queryFn: ({ signal }) => {
      const id = toValue(app);
      return id ? rpc('package.metrics', { id, range: toValue(range) }, { signal }) : rpc('system.metrics', { range: toValue(range) }, { signal });
    },
    // no finer than what is measured
    refetchInterval: () => (toValue(range) === 'hour' ? 10_000 : 60_000),
    placeholderData: (before, query) => (query?.queryKey[1] === toValue(app) ? before : undefined),
  });
}

/** What needs attention; `version` is asked afresh when it changes. */
export function useAttention(version: MaybeRefOrGetter<unknown>) {
  return useQuery({ queryKey: ['attention', version], queryFn: ({ signal }) => rpc('notify.list', {}, { signal }), placeholderData: keepPreviousData, refetchInterval: 30_000 });
}

/** Where the owner is told of it. */
export function useWays() {
  return useQuery({ queryKey: ['ways'], queryFn: ({ signal }) => rpc('notify.settings', {}, { signal }), refetchOnWindowFocus: false });
}

export function useSnapshots(id: MaybeRefOrGetter<string>, version: MaybeRefOrGetter<unknown>) {
  return useQuery({ queryKey: ['app', id, 'snapshots', version], queryFn: ({ signal }) => rpc('package.snapshots', { id: toValue(id) }, { signal }), placeholderData: keepPreviousData });
}

/** The daemon's log, read again while one follows it. */
export function useNodeLog(level: MaybeRefOrGetter<LogLevel>, follow: MaybeRefOrGetter<boolean>) {
  return useQuery({
    queryKey: ['node-log', level],
    queryFn: ({ signal }) => rpc('system.logs', { lines: 500, level: toValue(level) }, { signal }),
    refetchInterval: () => (toValue(follow) ? 3_000 : false),
    placeholderData: keepPreviousData,
  });
}
