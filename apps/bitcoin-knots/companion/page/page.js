import { ask, by, show, size, watch, whole } from './common.js';

function age(seconds) {
  const minutes = Math.max(0, Math.round((Date.now() / 1000 - seconds) / 60));
  return minutes < 120 ? `${minutes} min ago` : `${whole(Math.round(minutes / 60))} h ago`;
}

watch(async () => {
  const chain = await ask('/api/chain');
  const done = chain.verificationprogress ?? 0;
  by('bar').value = done;
  show('state', chain.initialblockdownload
    ? `Reading the chain: ${(done * 100).toFixed(2)} %. Apps that need Bitcoin wait for it.`
    : 'In step with the network.');
  show('chain', chain.chain);
  show('blocks', whole(chain.blocks));
  show('headers', whole(chain.headers));
  show('disk', size(chain.size_on_disk));
  show('age', age(chain.time ?? chain.mediantime));
  const [network, pool, index] = await Promise.all([ask('/api/network'), ask('/api/mempool'), ask('/api/index')]);
  show('peers', whole(network.connections));
  show('inbound', whole(network.connections_in));
  show('software', (network.subversion ?? '').replaceAll('/', ' ').trim());
  show('transactions', whole(pool.size));
  show('memory', size(pool.usage));
  show('fee', `${(pool.mempoolminfee * 1e5).toFixed(2)} sat/vB`);
  const txindex = index.txindex;
  show('index', txindex === undefined ? 'off' : txindex.synced ? 'complete' : `at block ${whole(txindex.best_block_height)}`);
  const settings = await ask('/api/settings');
  show('port', settings.rpc_port);
});
