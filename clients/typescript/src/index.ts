/** Proofs of possession for calls to a Visionality gateway, and spend tokens for end customers. */

export { BadBindingKey, readBindingKey, type BindingKey, type ExportedBindingKey } from "./binding-key.js";
export { signedFetch } from "./fetch.js";
export { mint, MintRefused, type Minted, type SpendToken } from "./minting.js";
export { newKeyPair, openSealed, type SealedBindingKey } from "./sealed.js";
export { CannotSign, createSigner, type Signer, type SignerOptions } from "./signer.js";
