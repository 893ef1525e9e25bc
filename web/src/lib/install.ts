// Installing the dashboard as an app: the browser says when that can be asked for.
import { ref } from 'vue';

interface InstallEvent extends Event {
  prompt(): Promise<unknown>;
}

/** It runs as an installed app. */
export const installed = ref(matchMedia('(display-mode: standalone)').matches);
const offer = ref<InstallEvent | null>(null);
/** The browser can be asked to install it. */
export const installable = offer as Readonly<typeof offer>;

addEventListener('beforeinstallprompt', (event) => {
  event.preventDefault();
  offer.value = event as InstallEvent;
});
addEventListener('appinstalled', () => {
  installed.value = true;
  offer.value = null;
});

export async function install(): Promise<void> {
  await offer.value?.prompt();
  offer.value = null;
}
