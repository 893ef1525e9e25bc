// Messages of this browser: whether it can have them, and its subscription.
import { rpc } from '@/api/rpc';
import type { NotifySettings } from '@/api/types';

async function registration(): Promise<ServiceWorkerRegistration | null> {
  if (!('serviceWorker' in navigator) || !('PushManager' in window)) return null;
  return (await navigator.serviceWorker.getRegistration()) ?? null;
}

/** True when this browser can get messages: it trusts the node's certificate and knows how. */
export async function canPush(): Promise<boolean> {
  return (await registration()) !== null;
}

/** The bytes of a base64url text. */
export function decode(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replace(/-/g, '+').replace(/_/g, '/'));
  return Uint8Array.from(plain, (char) => char.charCodeAt(0));
}

/** What a person calls this browser. */
export function deviceName(agent: string): string {
  const browser = /Firefox/.test(agent) ? 'Firefox' : /Edg\//.test(agent) ? 'Edge' : /Chrom/.test(agent) ? 'Chrome' : /Safari/.test(agent) ? 'Safari' : 'Browser';
  const system = /Android/.test(agent) ? 'Android' : /iPhone|iPad/.test(agent) ? 'iOS' : /Mac OS/.test(agent) ? 'macOS' : /Windows/.test(agent) ? 'Windows' : /Linux/.test(agent) ? 'Linux' : '';
  return system ? `${browser}, ${system}` : browser;
}

/** Asks the person, subscribes at the browser's push service, and tells the node. Null when the person said no. */
export async function subscribe(key: string): Promise<NotifySettings | null> {
  const worker = await registration();
  if (!worker || (await Notification.requestPermission()) !== 'granted') return null;
  // one that was made for another key of the node cannot be used
  await (await worker.pushManager.getSubscription())?.unsubscribe();
  const made = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: decode(key) });
  const { endpoint = '', keys = {} } = made.toJSON();
  return rpc('notify.push.add', { endpoint, p256dh: keys.p256dh ?? '', auth: keys.auth ?? '', label: deviceName(navigator.userAgent) });
}
