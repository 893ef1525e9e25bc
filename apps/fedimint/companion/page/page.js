import { ask, by, show, watch, whole } from './common.js';

const answers = (path) => ask(path).then(() => true, () => false);

watch(async () => {
  show('port', (await ask('/api/settings')).guardian_port);
  const ui = await answers('/api/ui');
  show('ui', ui ? 'answers' : 'not yet');
  const chain = await ask('/api/chain');
  by('bar').value = chain.verificationprogress ?? 0;
  show('blocks', whole(chain.blocks));
  show('headers', whole(chain.headers));
  show('state', chain.initialblockdownload ? 'Waiting for Bitcoin to be in step with the network.' : 'Bitcoin is ready.');
  show('next', chain.initialblockdownload ? 'Do not set up a federation yet.' : ui ? 'The guardian can be set up or used.' : 'The guardian starts.');
});
