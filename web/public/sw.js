// Keeps the dashboard's own files, so that the page opens while the node is away. It never answers for the node:
// calls, subscriptions, logs and anything that changes pass it by.
const VERSION = '__VERSION__';
const SHELL = ['__SHELL__'];
const CACHE = `shell-${VERSION}`;

self.addEventListener('install', (event) => {
  event.waitUntil(
    caches.open(CACHE).then((cache) => cache.addAll(SHELL)).then(() => self.skipWaiting()),
  );
});

self.addEventListener('activate', (event) => {
  event.waitUntil(
    caches.keys()
      .then((names) => Promise.all(names.filter((name) => name !== CACHE).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  );
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== location.origin) return;
  if (request.mode === 'navigate') {
    // the node first: another daemon brings another page
    event.respondWith(fetch(request).catch(() => caches.match('/', { cacheName: CACHE })));
  } else if (SHELL.includes(url.pathname) && url.pathname !== '/') {
    event.respondWith(
      caches.match(url.pathname, { cacheName: CACHE }).then((kept) => kept ?? fetch(request)),
    );
  }
});

// A message of the node's: what needs attention. The text was encrypted for this browser.
self.addEventListener('push', (event) => {
  let told = {};
  try {
    told = event.data?.json() ?? {};
  } catch {
    // a message that cannot be read is still a message
  }
  event.waitUntil(self.registration.showNotification(String(told.title ?? 'Archipelago'), {
    body: told.body ? String(told.body) : undefined,
    tag: told.tag ? String(told.tag) : undefined,
    icon: '/icon-192.png',
    data: { path: String(told.path ?? '') },
  }));
});

// Opens what it is about: an open page goes there, else a new one is opened.
self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  const path = event.notification.data?.path ?? '';
  // only this dashboard's own places
  const url = new URL(/^\/(apps|system)\b/.test(path) ? path : '/system/notices', location.origin).href;
  event.waitUntil(
    self.clients.matchAll({ type: 'window' }).then((pages) => {
      const page = pages.find((one) => 'navigate' in one);
      return page ? page.navigate(url).then((there) => (there ?? page).focus()) : self.clients.openWindow(url);
    }),
  );
});
