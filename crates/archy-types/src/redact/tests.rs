//! What is struck, and what stays.

use super::*;

#[test]
fn known_values_go_in_every_form() {
    let secret = Secret::new("p@ss/w\"ord+1\n");
    let redactor = Redactor::new([&secret]);
    for text in [
        "p@ss/w\"ord+1",
        "{\"a\":\"p@ss/w\\\"ord+1\"}",
        "q=p%40ss%2Fw%22ord%2B1&x",
        "basic cEBzcy93Im9yZCsx",
        "hex 7040 7040737s 704073732f77226f72642b31",
    ] {
        let clean = redactor.clean(text);
        assert!(clean.contains(STRUCK), "{text}: {clean}");
        for form in forms(&secret) {
            assert!(!clean.contains(std::str::from_utf8(&form).unwrap()), "{text}: {clean}");
        }
    }
}

#[test]
fn values_of_several_lines_go_line_by_line_and_longer_ones_first() {
    let long = Secret::new("alpha-beta-gamma\nsecond line of it");
    let inner = Secret::new("beta");
    let clean = Redactor::new([&inner, &long]).clean("x alpha-beta-gamma y second line of it beta");
    assert_eq!(clean, "x ••• y ••• •••");
}

#[test]
fn what_a_text_calls_secret_goes() {
    let redactor = Redactor::default();
    for (text, clean) in [
        ("POSTGRES_PASSWORD=hunter2 next", "POSTGRES_PASSWORD=••• next"),
        ("{\"api_key\": \"abc\", \"a\": 1}", "{\"api_key\": \"•••\", \"a\": 1}"),
        ("Authorization: Bearer abc.def\nnext", "Authorization: •••\nnext"),
        ("cookie: session=1; csrf_token=2\n", "cookie: •••\n"),
        ("sent bearer abcdefghijklmnopqrst ok", "sent bearer ••• ok"),
        ("the bearer of news", "the bearer of news"),
        ("get http://ann:pw@host/x and more", "get http://ann:•••@host/x and more"),
        ("-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\nx", "•••\n•••\n•••\nx"),
        ("key nsec1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq.", "key •••."),
        ("?token=abc&x=1", "?token=•••&x=1"),
        ("Secret=blog-token,type=env,target=T", "Secret=blog-token,type=env,target=T"),
        ("token=true password: null", "token=true password: null"),
        ("nothing: to see", "nothing: to see"),
        ("ünïcode password=ä€ ok", "ünïcode password=••• ok"),
    ] {
        assert_eq!(redactor.clean(text), clean);
        // what is clean stays so
        assert_eq!(redactor.clean(clean), clean);
    }
}

#[test]
fn names_of_the_node_can_go_too() {
    let redactor = Redactor::default().rename("myhost", "<host>").rename("/", "<root>");
    assert_eq!(redactor.clean("on myhost at /home"), "on <host> at /home");
}
