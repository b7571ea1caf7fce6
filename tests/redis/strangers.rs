//! Servers that are no Redis, or a hostile one: no panic, no memory, a clear word.

use std::time::Duration;

use raft_sentinel::base::Addr;
use raft_sentinel::base::observation::{LinkLoss, Observed, ValidReply};
use raft_sentinel::redis::AskError;

use crate::fake::{After, fake};
use crate::watched::{brief, settings, watch};

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn garbage_ends_the_link_with_a_word_about_it() {
    for bytes in [
        &b"\x00\xff\xfe garbage \x07"[..],
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"$999999999999\r\n",
        b"*1000000000\r\n",
        b":12x\r\n",
        b"$3\r\nabcdef",
    ] {
        let mut eyes = watch(fake(bytes, After::Silence).await, settings(1000));
        let seen = eyes.until("an end", |sight| matches!(sight, Observed::Unlinked(_))).await;
        let Some(Observed::Unlinked(LinkLoss::Other(text))) = seen.last().map(|seen| &seen.what) else { panic!("{:?}", brief(&seen)) };
        assert!(!text.contains(char::is_control) && text.len() < 200, "{text}");
        let error = eyes.fails_to_promote(Duration::from_secs(2), "no Redis").await;
        assert!(matches!(error, AskError::NoLink(LinkLoss::Other(_))), "{error:?}");
    }
}

/// Protected mode: the words come with the connection, which is closed at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_server_in_protected_mode_refuses_and_is_not_gone() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback works");
    let addr = Addr::new("127.0.0.1", listener.local_addr().expect("it is bound").port()).expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"-DENIED Redis is running in protected mode\r\n").await;
        }
    });
    let mut eyes = watch(addr, settings(1000));
    for _ in 0..20 {
        let seen = eyes.until("an end", |sight| matches!(sight, Observed::Unlinked(_))).await;
        let Some(Observed::Unlinked(LinkLoss::Credentials(text))) = seen.last().map(|seen| &seen.what) else {
            panic!("{:?}", brief(&seen))
        };
        assert!(text.contains("protected mode"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn endless_replies_cost_no_memory() {
    let before = resident_kb();
    let floods: [(&[u8], &'static [u8]); 3] = [(b"$4194304\r\n", b"xxxxxxxxxxxxxxxx"), (b"+", &[b'x'; 4096]), (b"", b"*1\r\n")];
    for (head, more) in floods {
        let mut eyes = watch(fake(Box::leak(head.into()), After::Flood(more)).await, settings(1000));
        eyes.until("an end", |sight| matches!(sight, Observed::Unlinked(_))).await;
    }
    let grown = resident_kb().saturating_sub(before);
    println!("memory grew by {grown} KB");
    assert!(grown < 64 * 1024, "memory grew by {grown} KB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_end_in_the_middle_of_a_reply_is_an_end_and_no_frenzy() {
    let mut eyes = watch(fake(b"+PO", After::Close).await, settings(1000));
    let began = std::time::Instant::now();
    for _ in 0..15 {
        eyes.until("an end", |sight| *sight == Observed::Unlinked(LinkLoss::Closed)).await;
    }
    assert!(began.elapsed() >= Duration::from_millis(8 * 50), "15 attempts, most of them with a pause, took {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn answers_that_nobody_asked_for_end_the_link() {
    let mut eyes = watch(fake(b"+PONG\r\n+PONG\r\n+PONG\r\n+PONG\r\n+PONG\r\n", After::Silence).await, settings(1000));
    let seen = eyes.until("an end", |sight| matches!(sight, Observed::Unlinked(_))).await;
    assert!(
        matches!(&seen.last().expect("an end").what, Observed::Unlinked(LinkLoss::Other(text)) if text.contains("nobody asked")),
        "{:?}",
        brief(&seen)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn loading_is_alive_and_an_act_on_it_is_refused() {
    let mut eyes = watch(fake(b"-LOADING Redis is loading the dataset in memory\r\n", After::Again).await, settings(1000));
    let seen = eyes.until("a bad report", |sight| matches!(sight, Observed::BadReport(_))).await;
    assert!(seen.iter().any(|seen| seen.what == Observed::Valid(ValidReply::Loading)), "{:?}", brief(&seen));
    let error = eyes.fails_to_promote(Duration::from_secs(2), "it loads").await;
    assert!(matches!(&error, AskError::Refused(text) if text.starts_with("LOADING")), "{error:?}");
}
