use super::*;
use crate::store::cheque::CHEQUE_POSITIONS;
use ::cheque::*;

const DRAW_TIME: u64 = 1_800_000_000;

#[test]
fn credits_cheque_once_at_the_payees_value() {
    let key = SigningKey::from_bytes(&[7; 32]).unwrap();
    let allowances = [
        (PAYEE, Amount::new(3_000_000)),
        (TOKEN, Amount::new(1_000_000)),
    ];
    let tree = AllowanceTree::build(allowances, &MasterSalt::from_bytes([9; 32])).unwrap();
    let bank = Bank::new(1, Address::repeat_byte(0xba));
    let deposit = Deposit {
        payer: CUSTOMER,
        signer: key.address(),
        token: Address::ZERO,
        lane: 1,
        amount: tree.total().get(),
        minPayout: 500_000,
        drawTime: DRAW_TIME,
        redeemUntil: DRAW_TIME + 24 * 3_600,
        root: tree.root(),
    };
    let id = bank.deposit_id(&deposit);
    let context = ChequeContext {
        key: &key,
        bank: &bank,
        deposit: id,
        payee: PAYEE,
    };
    let account = Account::new(Amount::new(3_000_000));
    let account = account.write_cheque(Amount::new(20_000), &context).unwrap();
    let proof = Proof::Opening(Box::new(Opening {
        bank,
        deposit,
        payee: PAYEE,
        allowance: tree.proof(PAYEE).unwrap(),
        cheque: *account.newest().unwrap(),
    }));
    let view = View {
        now: Now {
            clock: DRAW_TIME - 3_600,
            head_time: DRAW_TIME - 3_603,
            round_time: Some(DRAW_TIME - 3_600),
        },
        final_time: Some(DRAW_TIME - 4_500),
        purse: Purse::Open(id).word(),
        settled: true,
        redeem_cost: Some(Amount::new(1_000)),
        exposure: Amount::ZERO,
        unsettled: Amount::ZERO,
    };
    let policy = Policy::new(PAYEE, bank, ChainProfile::of(1).unwrap());
    let receiver = ChequeReceiver::new(bank, Address::ZERO, policy);
    let store = Memory::new();
    let receive = |from| {
        let mut batch = Batch::new();
        let proof = proof.encode();
        let received = store_received(&receiver, &store, PREFIX, from, &proof, &view, &mut batch);
        store.write(&batch).unwrap();
        received
    };
    assert!(matches!(
        receive(CUSTOMER),
        Err(ReceiveError::Rejected(ChequeRejection::Rejected(
            Rejection::WrongFrom { .. }
        )))
    ));
    let incoming = receive(key.address()).unwrap();
    assert_eq!(
        (incoming.value, incoming.credit_to),
        (19_960, key.address())
    );
    assert!(matches!(
        receive(key.address()),
        Err(ReceiveError::Rejected(ChequeRejection::Rejected(
            Rejection::Replay
        )))
    ));
}

/// `ChequeStore` finds positions by this prefix.
#[test]
fn stores_positions_under_the_prefix_of_the_cheque_store() {
    let bank = Bank::new(1, Address::repeat_byte(0xba));
    let policy = Policy::new(PAYEE, bank, ChainProfile::of(1).unwrap());
    let offer = ChequeReceiver::new(bank, Address::ZERO, policy).offer();
    let expected = [PREFIX, CHEQUE_POSITIONS].concat();
    assert_eq!(stored_key(PREFIX, &offer, b""), expected);
}
