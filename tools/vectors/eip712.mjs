// EIP-712: type strings, domain separators, struct hashes, digests.
import { keccak, uint, utf8 } from './bytes.mjs';

/** All structs that are hashed or signed for a bank, field by field. */
export const TYPES = {
  Deposit: [
    ['address', 'payer'],
    ['address', 'signer'],
    ['address', 'token'],
    ['uint64', 'lane'],
    ['uint128', 'amount'],
    ['uint128', 'minPayout'],
    ['uint64', 'drawTime'],
    ['uint64', 'redeemUntil'],
    ['bytes32', 'root'],
  ],
  Cheque: [
    ['bytes32', 'depositId'],
    ['address', 'payee'],
    ['uint128', 'spent'],
    ['bytes32', 'anchor'],
    ['uint128', 'step'],
  ],
  Open: [
    ['bytes32', 'depositId'],
    ['uint256', 'deadline'],
  ],
  Consent: [
    ['bytes32', 'depositId'],
    ['address', 'payee'],
    ['uint128', 'spent'],
    ['address', 'to'],
  ],
  Withdraw: [
    ['address', 'account'],
    ['address', 'token'],
    ['uint64', 'lane'],
    ['uint256', 'amount'],
    ['address', 'to'],
    ['uint256', 'nonce'],
    ['uint256', 'deadline'],
  ],
  Fund: [
    ['address', 'from'],
    ['address', 'token'],
    ['address', 'account'],
    ['uint256', 'amount'],
    ['bytes32', 'salt'],
  ],
  EIP712Domain: [
    ['string', 'name'],
    ['string', 'version'],
    ['uint256', 'chainId'],
    ['address', 'verifyingContract'],
  ],
};

export const typeString = (name) => `${name}(${TYPES[name].map((field) => field.join(' ')).join(',')})`;

export const typeHash = (name) => keccak(utf8(typeString(name)));

function word(type, value) {
  if (type === 'string') return keccak(utf8(value));
  if (!type.startsWith('uint')) {
    // Addresses and bytes32 are Buffers; an address is an integer of 20 bytes.
    if (value.length !== (type === 'address' ? 20 : 32)) throw new Error(`not a ${type}`);
    return Buffer.concat([Buffer.alloc(32 - value.length), value]);
  }
  uint(value, Number(type.slice(4)) / 8); // throws if out of range
  return uint(value, 32);
}

export const structHash = (name, message) =>
  keccak(typeHash(name), ...TYPES[name].map(([type, field]) => word(type, message[field])));

export const separator = ({ chainId, bank }) =>
  structHash('EIP712Domain', { name: 'ChequeBank', version: '1', chainId, verifyingContract: bank });

export const digest = (bank, name, message) => keccak(Buffer.from([0x19, 0x01]), separator(bank), structHash(name, message));
