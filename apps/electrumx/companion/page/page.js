import { ask, by, show, watch, whole } from './common.js';

watch(async () => {
  show('port', (await ask('/api/settings')).electrum_port);
  const chain = await ask('/api/chain');
  show('blocks', whole(chain.blocks));
  if (chain.initialblockdownload) {
    show('state', `Bitcoin reads the chain: ${((chain.verificationprogress ?? 0) * 100).toFixed(2)} %. The index is made after that.`);
    return;
  }
  try {
    const server = await ask('/api/electrum');
    by('bar').value = chain.blocks ? Math.min(1, server.height / chain.blocks) : 0;
    show('height', whole(server.height));
    show('software', server.version);
    show('protocol', server.protocol);
    show('state', server.height + 1 >= chain.blocks ? 'In step with Bitcoin.' : 'The index is catching up.');
  } catch {
    show('state', 'The index is being made. That takes hours to days; wallets can connect afterwards.');
  }
});
