// Addresses of the pages. The daemon answers these with the page: a new first part has to be known there too.
import { createRouter, createWebHistory } from 'vue-router';
import AppsPage from './pages/AppsPage.vue';

export const router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (to, from, saved) => saved ?? (to.path === from.path || to.meta.part !== undefined && to.meta.part === from.meta.part ? false : { top: 0 }),
  routes: [
    { path: '/', name: 'apps', component: AppsPage, meta: { title: 'nav.apps' } },
    {
      path: '/apps/:id',
      component: () => import('./pages/AppPage.vue'),
      props: true,
      meta: { part: 'app' },
      children: [
        { path: '', name: 'app', component: () => import('./features/app/Overview.vue'), props: true },
        { path: 'log', name: 'app-log', component: () => import('./features/app/Log.vue'), props: true },
        { path: 'settings', name: 'app-settings', component: () => import('./features/app/Settings.vue'), props: true },
        { path: 'history', name: 'app-history', component: () => import('./features/app/History.vue'), props: true },
      ],
    },
    { path: '/apps/:id/open', name: 'session', component: () => import('./pages/SessionPage.vue'), props: true, meta: { bare: true } },
    { path: '/discover', name: 'discover', component: () => import('./pages/DiscoverPage.vue'), meta: { title: 'nav.discover' } },
    { path: '/discover/:id', name: 'offer', component: () => import('./pages/OfferPage.vue'), props: true },
    {
      path: '/system',
      component: () => import('./pages/SystemPage.vue'),
      meta: { title: 'nav.system', part: 'system' },
      children: [
        { path: '', name: 'system', component: () => import('./features/system/Overview.vue') },
        { path: 'health', name: 'health', component: () => import('./features/system/Health.vue') },
        { path: 'notices', name: 'notices', component: () => import('./features/system/Notices.vue') },
        { path: 'log', name: 'node-log', component: () => import('./features/system/Log.vue') },
        { path: 'activity', name: 'activity', component: () => import('./features/system/Activity.vue') },
        { path: 'identities', name: 'identities', component: () => import('./features/identities/Identities.vue') },
        { path: 'access', name: 'access', component: () => import('./features/system/Access.vue') },
        { path: 'settings', name: 'settings', component: () => import('./features/system/Settings.vue') },
      ],
    },
    // apps' pages show it in a frame, see `App.vue`
    { path: '/nostr-signer', name: 'signer', component: () => import('./pages/SignerPage.vue') },
    { path: '/:rest(.*)*', name: 'lost', component: () => import('./pages/LostPage.vue') },
  ],
});

declare module 'vue-router' {
  interface RouteMeta {
    /** Key of the page's title. */
    title?: 'nav.apps' | 'nav.discover' | 'nav.system';
    /** Pages of one part keep their place when one goes from one to another. */
    part?: string;
    /** Without the frame of the dashboard. */
    bare?: boolean;
  }
}
