/* window.nostr (NIP-07) for apps on this node. Requests go to the dashboard, which asks the owner;
 * keys never come here. Loaded by <script src="/nostr-provider.js" data-app-id="…">. */
(() => {
  'use strict'
  if (window.archipelagoNostr) return

  const script = document.currentScript
  const data = (script && script.dataset) || {}
  const host = location.hostname
  const appId = data.appId || `app-${location.port || 'page'}`
  const embedded = window.parent !== window
  /** A person decides: nothing is asked twice before they had the time to. */
  const TIMEOUT = 10 * 60 * 1000
  /** A chosen key answers one getPublicKey within this. */
  const REUSE = 15 * 1000

  /** Origins that the dashboard can have: this host, without the app's port. */
  const bare = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
  const origins = data.signerOrigin ? [data.signerOrigin] : [`https://${bare}`, `http://${bare}`]
  const outer = () => {
    const above = location.ancestorOrigins && location.ancestorOrigins[0]
    if (above) return above
    try {
      return new URL(document.referrer).origin
    } catch {
      return null
    }
  }
  const own = origins.find((origin) => origin.startsWith(location.protocol)) || origins[0]
  const target = embedded && origins.includes(outer()) ? outer() : own

  const pending = new Map()
  const shared = new Map()
  const listeners = new Set()
  let choosing = null
  let selected = null
  let fresh = null
  let frame = null
  let ready = null
  let counter = 0

  const random = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(8))
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  }
  const session = random()

  const place = (shown) => {
    if (!frame) return
    const style = frame.style
    style.position = 'fixed'
    style.inset = '0'
    style.width = shown ? '100%' : '0'
    style.height = shown ? '100%' : '0'
    style.border = '0'
    style.zIndex = '2147483647'
    style.display = 'block'
    style.visibility = shown ? 'visible' : 'hidden'
    style.colorScheme = 'normal'
    frame.setAttribute('aria-hidden', String(!shown))
    if (shown) frame.focus()
  }

  /** The window that answers: the dashboard around this page, or its signer in a hidden frame. */
  const counterpart = () => {
    if (embedded) return Promise.resolve(window.parent)
    if (ready) return ready.promise
    ready = {}
    ready.promise = new Promise((resolve, reject) => {
      ready.resolve = resolve
      const open = () => {
        frame = document.createElement('iframe')
        frame.title = 'Signer'
        frame.src = `${target}/nostr-signer`
        place(false)
        document.body.append(frame)
      }
      if (document.body) open()
      else document.addEventListener('DOMContentLoaded', open, { once: true })
      setTimeout(() => {
        if (ready && !ready.done) {
          ready = null
          if (frame) frame.remove()
          frame = null
          reject(new Error('The signer of this node does not answer: open its dashboard and log in.'))
        }
      }, 30 * 1000)
    })
    return ready.promise
  }

  const post = async (message) => {
    const other = await counterpart()
    other.postMessage(message, target)
  }

  const request = (method, params) => {
    const same = JSON.stringify([method, params])
    if (shared.has(same)) return shared.get(same)
    const id = `${session}-${++counter}`
    const promise = new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        pending.delete(id)
        reject(new Error('Nobody answered the request in time.'))
      }, TIMEOUT)
      pending.set(id, {
        resolve: (value) => (clearTimeout(timer), resolve(value)),
        reject: (error) => (clearTimeout(timer), reject(error)),
      })
      post({ type: 'nostr-request', id, method, params }).catch((error) => {
        const waiting = pending.get(id)
        pending.delete(id)
        if (waiting) waiting.reject(error)
      })
    }).finally(() => shared.delete(same))
    shared.set(same, promise)
    return promise
  }

  const chosen = (identity) => {
    if (!identity || typeof identity.nostr_pubkey !== 'string') return
    selected = identity
    fresh = { pubkey: identity.nostr_pubkey, until: Date.now() + REUSE }
    const waiting = choosing
    choosing = null
    if (waiting) waiting.resolve(identity)
    for (const listener of listeners) {
      try {
        listener(identity)
      } catch (error) {
        console.error(error)
      }
    }
    later(identity.nostr_pubkey)
  }

  const cancelled = () => {
    const waiting = choosing
    choosing = null
    if (waiting) waiting.reject(new Error('No identity was chosen.'))
  }

  const selectIdentity = () => {
    if (choosing) return choosing.promise
    const waiting = {}
    choosing = waiting
    waiting.promise = new Promise((resolve, reject) => {
      const timer = setTimeout(() => choosing === waiting && cancelled(), TIMEOUT)
      waiting.resolve = (value) => (clearTimeout(timer), resolve(value))
      waiting.reject = (error) => (clearTimeout(timer), reject(error))
    })
    const type = embedded ? 'archipelago:identity:request' : 'archipelago:signer-select-identity'
    post({ type, force: true }).catch((error) => {
      if (choosing === waiting) choosing = null
      waiting.reject(error)
    })
    return waiting.promise
  }

  addEventListener('message', (event) => {
    const other = embedded ? window.parent : frame && frame.contentWindow
    if (!other || event.source !== other || event.origin !== target) return
    const message = event.data
    if (!message || typeof message !== 'object') return
    switch (message.type) {
      case 'nostr-response': {
        const waiting = pending.get(message.id)
        if (!waiting) return
        pending.delete(message.id)
        if (message.error) waiting.reject(new Error(String(message.error)))
        else waiting.resolve(message.result)
        return
      }
      case 'archipelago:identity':
        return embedded ? chosen(message) : undefined
      case 'archipelago:signer-identity':
        return embedded ? undefined : chosen(message.identity)
      case 'archipelago:identity-cancelled':
      case 'archipelago:signer-identity-cancelled':
        return cancelled()
      case 'archipelago:signer-ready': {
        if (embedded || !ready) return
        const init = { type: 'archipelago:signer-init', appId, appName: document.title || appId }
        other.postMessage(init, target)
        ready.done = true
        return ready.resolve(other)
      }
      case 'archipelago:signer-show':
        return place(true)
      case 'archipelago:signer-hide':
        return place(false)
    }
  })

  const signEvent = (event) => request('signEvent', { event })
  const cipher = (name) => ({
    encrypt: (pubkey, plaintext) => request(`${name}.encrypt`, { pubkey, plaintext }),
    decrypt: (pubkey, ciphertext) => request(`${name}.decrypt`, { pubkey, ciphertext }),
  })

  window.nostr = {
    async getPublicKey() {
      if (fresh && Date.now() < fresh.until) {
        const { pubkey } = fresh
        fresh = null
        return pubkey
      }
      const gesture = navigator.userActivation && navigator.userActivation.isActive
      if (gesture || choosing) {
        const identity = await selectIdentity()
        fresh = null
        return identity.nostr_pubkey
      }
      return request('getPublicKey', {})
    },
    signEvent,
    sign: signEvent,
    getRelays: () => request('getRelays', {}),
    nip04: cipher('nip04'),
    nip44: cipher('nip44'),
  }

  window.archipelagoNostr = {
    selectIdentity,
    getSelectedIdentity: () => selected,
    onIdentitySelected(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }

  /* NIP-98: only where the app's manifest asks for it. The gate's own tag says where it does not;
   * a tag that the app wrote itself has to say that it wants it. */
  const injected = Boolean(script && script.nonce && data.appId)
  const nip98 = !('noNip98' in data) && (injected || ('nip98' in data && data.nip98 !== 'false'))
  let busy = false

  const json = async (path, options, timeout) => {
    const answer = await fetch(path, { ...options, signal: AbortSignal.timeout(timeout) })
    const type = answer.headers.get('content-type') || ''
    if (!answer.ok || !type.includes('json')) return null
    const body = await answer.json()
    return body && typeof body === 'object' && !Array.isArray(body) ? body : null
  }

  const logIn = async (pubkey) => {
    if (sessionStorage.getItem('nostr_token') && sessionStorage.getItem('nostr_pubkey') === pubkey) return
    // any page may answer with success: only one that says so in its body takes logins
    const health = await json('/api/nostr-auth/health', {}, 3000)
    if (!health || !(health.ok === true || ['ok', 'healthy'].includes(health.status))) return
    const path = '/api/auth/nostr/session'
    const url = new URL(path, location.href).href
    const event = await signEvent({
      kind: 27235,
      created_at: Math.floor(Date.now() / 1000),
      tags: [
        ['u', url],
        ['method', 'POST'],
      ],
      content: '',
    })
    const text = btoa(String.fromCharCode(...new TextEncoder().encode(JSON.stringify(event))))
    const options = { method: 'POST', headers: { Authorization: `Nostr ${text}` } }
    const body = await json(path, options, 30000)
    if (!body || typeof body.accessToken !== 'string') return
    sessionStorage.setItem('nostr_token', body.accessToken)
    sessionStorage.setItem('nostr_pubkey', event.pubkey)
    if (typeof body.refreshToken === 'string') sessionStorage.setItem('refresh_token', body.refreshToken)
    location.reload()
  }

  function later(pubkey) {
    if (!nip98 || busy) return
    busy = true
    setTimeout(() => {
      logIn(pubkey)
        .catch((error) => console.warn('The login with Nostr did not work:', error.message))
        .finally(() => (busy = false))
    }, 1500)
  }
})()
