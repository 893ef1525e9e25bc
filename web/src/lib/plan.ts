// A plan told in a few lines: steps of a kind together, in the order in which they are done.
import type { PlanStep } from '@/api/types';
import { has, type Key, t } from '@/i18n';

export interface PlanLine {
  text: string;
  /** What it is done to. */
  targets: string[];
}

export function summary(steps: readonly PlanStep[]): PlanLine[] {
  const lines = new Map<string, string[]>();
  for (const step of steps) {
    const key = has(`step.${step.kind}`) ? step.kind : 'other';
    const targets = lines.get(key) ?? [];
    lines.set(key, targets);
    // units that are started together are named together
    targets.push(...(step.target ?? step.text).split(', '));
  }
  return [...lines].map(([kind, targets]) => ({ text: t(`step.${kind}` as Key, { n: targets.length }), targets }));
}

/** What an uninstall leaves, told by what a purge would take as well. */
export interface Leftover {
  data: boolean;
  volumes: string[];
  secrets: string[];
}

export function leftover(purge: readonly PlanStep[]): Leftover {
  const of = (kind: string) => purge.filter((step) => step.kind === kind).map((step) => step.target ?? step.text);
  return { data: purge.some((step) => step.kind === 'purge-data'), volumes: of('purge-volume'), secrets: of('purge-secret') };
}
