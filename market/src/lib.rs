//! Service tokens that expire, priorities by balance, and choosing whom to pay: no clock, no randomness, no network.
