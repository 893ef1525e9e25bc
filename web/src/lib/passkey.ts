// Passkeys: what the node asks of the browser's authenticator, and what that answers, as JSON and back.
import { rpc } from '@/api/rpc';

/** A page that was reached by an address has no passkeys, and not every browser has them. */
export function canPasskey(): boolean {
  const named = !/^[\d.]+$|^\[/.test(location.hostname);
  return named && isSecureContext && 'PublicKeyCredential' in window;
}

const bytes = (text: string): Uint8Array<ArrayBuffer> => {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(plain, (character) => character.charCodeAt(0));
};
const text = (buffer: ArrayBuffer): string =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

interface Known { id: string; type: 'public-key' }
const known = (list: unknown): PublicKeyCredentialDescriptor[] =>
  ((list ?? []) as Known[]).map((one) => ({ ...one, id: bytes(one.id) }));

/** Registers a passkey of this device. */
export async function addPasskey(name: string, password: string): Promise<void> {
  const { attempt_id, options } = await rpc('auth.passkey.registerStart', { name, password });
  const asked = options.publicKey as Record<string, unknown> & { challenge: string; user: { id: string } };
  const made = await navigator.credentials.create({
    publicKey: {
      ...asked,
      challenge: bytes(asked.challenge),
      user: { ...asked.user, id: bytes(asked.user.id) },
      excludeCredentials: known(asked.excludeCredentials),
    } as unknown as PublicKeyCredentialCreationOptions,
  }) as PublicKeyCredential;
  const answer = made.response as AuthenticatorAttestationResponse;
  await rpc('auth.passkey.registerFinish', {
    attempt_id,
    credential: {
      ...outer(made),
      response: {
        attestationObject: text(answer.attestationObject),
        clientDataJSON: text(answer.clientDataJSON),
        transports: answer.getTransports(),
      },
    },
  });
}

/** Signs in with a passkey. */
export async function enterWithPasskey(user: string | undefined): Promise<void> {
  const { attempt_id, options } = await rpc('auth.login.passkey.start', user ? { user } : {});
  const asked = options.publicKey as Record<string, unknown> & { challenge: string };
  const given = await navigator.credentials.get({
    publicKey: {
      ...asked,
      challenge: bytes(asked.challenge),
      allowCredentials: known(asked.allowCredentials),
    } as unknown as PublicKeyCredentialRequestOptions,
  }) as PublicKeyCredential;
  const answer = given.response as AuthenticatorAssertionResponse;
  await rpc('auth.login.passkey.finish', {
    attempt_id,
    credential: {
      ...outer(given),
      response: {
        authenticatorData: text(answer.authenticatorData),
        clientDataJSON: text(answer.clientDataJSON),
        signature: text(answer.signature),
        userHandle: answer.userHandle ? text(answer.userHandle) : null,
      },
    },
  });
}

const outer = (one: PublicKeyCredential) => ({
  id: one.id,
  rawId: text(one.rawId),
  type: one.type,
  extensions: one.getClientExtensionResults() as Record<string, unknown>,
});
