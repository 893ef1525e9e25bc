// The beginning: stores, questions, pages.
import { QueryClient, VueQueryPlugin } from '@tanstack/vue-query';
import { createPinia } from 'pinia';
import { createApp } from 'vue';
import { asError } from './api/rpc';
import App from './App.vue';
import { t } from './i18n';
import './lib/install';
import { router } from './router';
import './style.css';
import { complain } from './ui/toasts';

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // a refusal does not change by asking again; a node that is away comes back
      retry: (count, error) => asError(error).code === 'no-answer' && count < 2,
    },
  },
});

const app = createApp(App);
app.config.errorHandler = (error) => {
  console.error(error);
  complain(new Error(t('fault.page')));
};
app.use(createPinia()).use(VueQueryPlugin, { queryClient: queries }).use(router).mount('#app');

// parts of a page that is older than the daemon are gone: the new page has its own
addEventListener('vite:preloadError', () => location.reload());

if (import.meta.env.PROD && 'serviceWorker' in navigator) {
  // a browser that does not trust the node's certificate refuses it; the page works without
  addEventListener('load', () => void navigator.serviceWorker.register('/sw.js').catch(() => undefined));
}
