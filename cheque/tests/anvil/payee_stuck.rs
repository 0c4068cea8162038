//! Transactions of the payee's service that wait.

use crate::cast::{Cast, memory};
use crate::node::coins;
use crate::payee_service::{redeemed, sends, service, status, wins};
use crate::payer_stuck::automine;
use cheque::HISTORY_WINDOW;
use cheque::service::metrics::PAYEE_STUCK;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering};

/// Keeps one gauge.
#[derive(Default)]
struct Stuck(Arc<AtomicU64>);

impl Stuck {
    fn value(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::SeqCst))
    }
}

impl Recorder for Stuck {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match key.name() == PAYEE_STUCK {
            true => Gauge::from_arc(self.0.clone()),
            false => Gauge::noop(),
        }
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[tokio::test]
async fn what_waits_for_more_than_30_blocks_is_told() {
    let gauge = Stuck::default();
    let _here = metrics::set_default_local_recorder(&gauge);
    let cast = Cast::new().await;
    let world = &cast.world;
    let service = service(world, &cast.payees[0], memory());
    let draw = world.head().await + 80;
    let all = wins(&cast, &service, &[draw; 2], HISTORY_WINDOW).await;
    world.node.mine_to(draw + 1).await;
    automine(world, false).await;
    sends(&service, all[0].id).await;
    let since = world.head().await;
    // No block has room for it, at whatever fee.
    for blocks in 0..=32 {
        let stuck = blocks >= 30;
        let health = service.health();
        let said = format!("waits since block {since}");
        assert_eq!(health.reason.contains(&said), stuck, "{health:?}");
        let said = format!("it has waited since block {since}");
        for opened in &all {
            let status = status(&service, opened.id).await;
            assert_eq!(status.waits_since, stuck.then_some(since));
            let reason = status.reason();
            assert_eq!(reason.contains(&said), stuck, "{reason}");
        }
        let told = if stuck { 1.0 } else { 0.0 };
        assert_eq!(gauge.value(), told, "one transaction for both");
        world.node.anvil("anvil_dropAllTransactions", ()).await;
        world.node.mine(1).await;
        sends(&service, all[0].id).await;
    }
    world.node.mine(1).await;
    for opened in &all {
        assert_eq!(redeemed(&service, opened.id).await.0, coins(100));
        assert_eq!(status(&service, opened.id).await.waits_since, None);
    }
    assert_eq!(gauge.value(), 0.0);
    assert!(!service.health().reason.contains("waits"));
}
