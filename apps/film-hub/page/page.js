// The list, the player, and the notes of the relay beside them.
const by = (id) => document.getElementById(id);
const element = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
const path = (key) => `/media/${key.split('/').map(encodeURIComponent).join('/')}`;
let film = null;
let relay = null;

/** What a note is about. */
const subject = () => `film:${film.key}`;

function listen() {
  relay?.close();
  by('notes').replaceChildren();
  const link = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/relay`);
  link.addEventListener('open', () => link.send(JSON.stringify(['REQ', 'notes', { kinds: [1111], '#i': [subject()], limit: 100 }])));
  link.addEventListener('message', ({ data }) => {
    const [kind, , event] = JSON.parse(data);
    if (kind !== 'EVENT' || link !== relay) return;
    const item = document.createElement('li');
    const when = new Date(event.created_at * 1000).toLocaleString();
    item.append(element('p', `${event.pubkey.slice(0, 8)}…, ${when}`), element('div', event.content));
    by('notes').append(item);
  });
  relay = link;
}

function play(chosen) {
  film = chosen;
  by('stage').hidden = false;
  by('name').textContent = film.title;
  by('screen').src = path(film.key);
  listen();
}

by('say').addEventListener('submit', async (event) => {
  event.preventDefault();
  if (!window.nostr) { by('state').textContent = 'Your browser has no Nostr identity: install a signer first.'; return; }
  const note = {
    kind: 1111, created_at: Math.floor(Date.now() / 1000), content: by('text').value,
    tags: [['I', subject()], ['K', 'film'], ['i', subject()], ['k', 'film']],
  };
  try {
    relay.send(JSON.stringify(['EVENT', await window.nostr.signEvent(note)]));
    by('text').value = '';
  } catch { by('state').textContent = 'The note was not signed.'; }
});

async function look() {
  try {
    const answer = await fetch('/films?select=key,title,bytes&order=changed.desc');
    if (!answer.ok) throw new Error();
    const films = await answer.json();
    by('state').textContent = films.length ? `${films.length} films` : 'There is no film yet.';
    by('films').replaceChildren(...films.map((one) => {
      const item = document.createElement('li');
      const button = element('button', one.title);
      button.className = 'film';
      button.addEventListener('click', () => play(one));
      item.append(button, element('p', `${(one.bytes / 1e6).toFixed(0)} MB`));
      return item;
    }));
  } catch { by('state').textContent = 'The list cannot be had just now.'; }
}

const title = await fetch('/title').then((answer) => answer.text(), () => 'Film hub');
by('title').textContent = title;
document.title = title;
look();
setInterval(() => { if (!document.hidden) look(); }, 30_000);
