use super::*;

#[test]
fn facilitator_is_reached_by_tls_or_on_this_machine() {
    for url in [
        "https://x402.example/facilitator",
        "http://127.0.0.1:4021",
        "http://localhost:4021/base",
        "http://[::1]:4021",
    ] {
        assert!(Facilitator::new(url).is_ok(), "{url}");
    }
    for url in [
        "",
        "x402.example",
        "http://x402.example",
        "http://10.0.0.1",
        "ftp://localhost",
    ] {
        assert_eq!(
            Facilitator::new(url).err(),
            Some(FacilitatorError::Url),
            "{url}"
        );
    }
    let secret = Facilitator::new("https://x402.example/a-key").unwrap();
    assert_eq!(format!("{secret:?}"), "Facilitator(x402.example)");
}
