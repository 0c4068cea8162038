//! Times to issue, check, and check and draw a ticket of HOPR, each divided by the time of libsecp256k1's verification
//! measured in the same round. Prints the three ratios.

use cpu_time::ThreadTime;
use hopr_types::{
    crypto::{
        keypairs::{ChainKeypair, Keypair},
        types::{HalfKey, Hash, Response},
    },
    crypto_random::Randomizable,
    internal::tickets::{Ticket, TicketBuilder, VerifiedTicket, WinningProbability},
};
use secp256k1::{Message, Secp256k1, SecretKey};
use std::hint::black_box;

const ROUNDS: usize = 25;
const TIMES: u32 = 50;

fn main() {
    let (issuer, payee) = (ChainKeypair::random(), ChainKeypair::random());
    let domain = Hash::default();
    let response = Response::from_half_keys(&HalfKey::random(), &HalfKey::random()).unwrap();
    let challenge = response.to_challenge().unwrap();
    let issue = || -> VerifiedTicket {
        TicketBuilder::default()
            .counterparty(payee.public().to_address())
            .amount(1_000u64)
            .index(7)
            .channel_epoch(1)
            .win_prob(WinningProbability::try_from(0.5).unwrap())
            .challenge(challenge)
            .build_signed(&issuer, &domain)
            .unwrap()
    };
    let from = issuer.public().to_address();
    let ticket: Ticket = *issue().verified_ticket();
    let check = || ticket.clone().verify(&from, &domain).unwrap();

    let context = Secp256k1::new();
    let secret = SecretKey::from_byte_array([7; 32]).unwrap();
    let key = secret.public_key(&context);
    let message = Message::from_digest([3; 32]);
    let signature = context.sign_ecdsa(message, &secret);

    let mut ratios = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        let verify = nanos(|| context.verify_ecdsa(black_box(message), &signature, &key));
        let measured = [
            nanos(issue),
            nanos(check),
            nanos(|| check().is_winning(&response, &payee, &domain)),
        ];
        for (ratios, nanos) in ratios.iter_mut().zip(measured) {
            ratios.push(nanos / verify);
        }
    }
    let [issue, check, draw] = ratios.map(|mut ratios| {
        ratios.sort_by(f64::total_cmp);
        ratios[ROUNDS / 2]
    });
    println!("{issue} {check} {draw}");
}

fn nanos<T>(run: impl Fn() -> T) -> f64 {
    let start = ThreadTime::now();
    for _ in 0..TIMES {
        black_box(run());
    }
    start.elapsed().as_nanos() as f64 / f64::from(TIMES)
}
