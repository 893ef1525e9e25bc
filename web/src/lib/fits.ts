// Whether an app fits the node, and why not. The plan has the last word; this tells before there is one.
import type { AvailableApp, SystemInfo } from '@/api/types';
import { t } from '@/i18n';
import { bytes } from './format';

type Host = Pick<SystemInfo, 'architecture' | 'memory_total_bytes' | 'disk_free_bytes'>;

/** The first reason why it does not fit; nothing when it does, or when that is not known. */
export function unfit({ needs }: Pick<AvailableApp, 'needs'>, host: Host | undefined): string | null {
  if (!host) return null;
  const { architecture, memory_total_bytes: memory, disk_free_bytes: disk } = host;
  if (needs.architectures.length && !needs.architectures.includes(architecture)) return t('discover.unfit.arch', { arch: architecture });
  if (memory !== null && needs.memory_bytes > memory) return t('discover.unfit.memory', { size: bytes(needs.memory_bytes), have: bytes(memory) });
  if (disk !== null && needs.storage_bytes !== null && needs.storage_bytes > disk) return t('discover.unfit.storage', { size: bytes(needs.storage_bytes), have: bytes(disk) });
  return null;
}
