import { ask, by, show, watch, whole } from './common.js';

const STATES = {
  WAITING_TO_START: 'Waiting for Bitcoin.',
  NON_EXISTING: 'It has no wallet yet.',
  LOCKED: 'The wallet is being opened.',
  UNLOCKED: 'The wallet is open; the node starts.',
  RPC_ACTIVE: 'Almost there.',
  SERVER_ACTIVE: 'It runs.',
};
const sats = (balance) => `${whole(balance?.sat ?? balance)} sat`;
let words = [];

by('draw').addEventListener('click', async () => {
  try {
    words = (await ask('/api/seed')).cipher_seed_mnemonic;
    by('words').replaceChildren(...words.map((word) => Object.assign(document.createElement('li'), { textContent: word })));
    by('make').disabled = false;
  } catch (error) { show('state', `No words: ${error.message}.`); }
});

by('make').addEventListener('click', async () => {
  by('make').disabled = true;
  try {
    await ask('/api/wallet', { cipher_seed_mnemonic: words });
    words = [];
    by('words').replaceChildren();
    by('new').hidden = true;
  } catch (error) { show('state', `No wallet: ${error.message}.`); by('make').disabled = false; }
});

watch(async () => {
  const { state } = await ask('/api/state');
  show('state', STATES[state] ?? state);
  by('new').hidden = state !== 'NON_EXISTING';
  if (state !== 'SERVER_ACTIVE' && state !== 'RPC_ACTIVE') return;
  const [info, chain, channels] = await Promise.all([ask('/api/info'), ask('/api/onchain'), ask('/api/channels')]);
  show('alias', info.alias);
  show('key', info.identity_pubkey);
  show('height', whole(info.block_height));
  show('chain', info.synced_to_chain ? 'yes' : 'not yet');
  show('graph', info.synced_to_graph ? 'yes' : 'not yet');
  show('peers', whole(info.num_peers));
  show('active', whole(info.num_active_channels));
  show('pending', whole(info.num_pending_channels));
  show('onchain', sats(chain.total_balance));
  show('local', sats(channels.local_balance));
  show('remote', sats(channels.remote_balance));
});
