#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::{ProvenStream, accept, connect};
use crate::secret::Keys;

const OURS: &[u8] = b"0123456789abcdef0123456789abcdef";
const THEIRS: &[u8] = b"fedcba9876543210fedcba9876543210";

fn keys(secrets: &[&[u8]]) -> Keys {
    Keys::new(secrets).unwrap()
}

type End = ProvenStream<DuplexStream>;

async fn both(dialler: &Keys, listener: &Keys) -> (io::Result<End>, io::Result<End>) {
    let (here, there) = duplex(64 * 1024);
    // The confirmation travels with the first bytes.
    let dial = async {
        let mut end = connect(here, dialler).await?;
        end.flush().await?;
        Ok(end)
    };
    let (dialled, accepted) = tokio::join!(dial, accept(there, listener));
    (dialled, accepted)
}

#[tokio::test]
async fn whoever_holds_the_secret_is_heard_both_ways() {
    let (here, there) = both(&keys(&[OURS]), &keys(&[THEIRS, OURS])).await;
    let (mut here, mut there) = (here.unwrap(), there.unwrap());
    let long: Vec<u8> = (0..300_000_u32).map(|n| n as u8).collect();
    let echo = tokio::spawn(async move {
        let mut heard = vec![0; 300_000];
        there.read_exact(&mut heard).await.unwrap();
        there.write_all(&heard).await.unwrap();
        there.shutdown().await.unwrap();
        there
    });
    let (mut reader, mut writer) = tokio::io::split(&mut here);
    let mut back = Vec::new();
    let (written, read) = tokio::join!(
        async {
            writer.write_all(&long).await?;
            writer.flush().await
        },
        reader.read_to_end(&mut back)
    );
    written.unwrap();
    read.unwrap();
    assert!(back == long);
    drop(echo.await.unwrap());
}

#[tokio::test]
async fn other_secrets_are_refused_in_silence() {
    let (here, there) = both(&keys(&[THEIRS]), &keys(&[OURS])).await;
    let (here, there) = (here.unwrap_err().to_string(), there.unwrap_err().to_string());
    assert!(here.contains("it has another secret, or none"), "{here}");
    assert!(there.contains("is none of ours"), "{there}");

    let (mut caller, there) = duplex(1024);
    let accepted = tokio::spawn(async move { accept(there, &keys(&[OURS])).await });
    caller.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let mut said = Vec::new();
    let _ = caller.read_to_end(&mut said).await;
    assert_eq!(said, b"", "not a byte for a stranger");
    assert!(accepted.await.unwrap().unwrap_err().to_string().contains("does not begin with the proof"));
}

#[tokio::test]
async fn the_name_of_a_secret_is_not_the_secret() {
    let (mut caller, there) = duplex(1024);
    let ours = keys(&[OURS]);
    let accepted = tokio::spawn(async move { accept(there, &keys(&[OURS])).await });
    caller.write_all(&super::MAGIC).await.unwrap();
    caller.write_all(&ours.current().id().to_bytes()).await.unwrap();
    caller.write_all(&[7; 48]).await.unwrap();
    let mut said = Vec::new();
    let _ = caller.read_to_end(&mut said).await;
    assert_eq!(said, b"");
    assert!(accepted.await.unwrap().unwrap_err().to_string().contains("without holding it"));
}

/// All bytes that the dialler sent, for whoever listens on the way.
async fn recorded() -> Vec<u8> {
    let (here, mut tap) = duplex(64 * 1024);
    let (mut onward, there) = duplex(64 * 1024);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let noted = heard.clone();
    let relay = tokio::spawn(async move {
        let (mut up, mut down) = ([0; 4096], [0; 4096]);
        loop {
            tokio::select! {
                Ok(count) = tap.read(&mut up) => {
                    if count == 0 { return }
                    noted.lock().unwrap().extend_from_slice(&up[..count]);
                    if onward.write_all(&up[..count]).await.is_err() { return }
                }
                Ok(count) = onward.read(&mut down) => {
                    if count == 0 || tap.write_all(&down[..count]).await.is_err() { return }
                }
                else => return,
            }
        }
    });
    let ours = keys(&[OURS]);
    let (mut here, mut there) = {
        let dial = async {
            let mut end = connect(here, &ours).await.unwrap();
            end.write_all(b"let me in").await.unwrap();
            end.flush().await.unwrap();
            end
        };
        let (here, there) = tokio::join!(dial, accept(there, &ours));
        (here, there.unwrap())
    };
    let mut said = [0; 9];
    there.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"let me in");
    here.shutdown().await.unwrap();
    drop((here, there));
    relay.await.unwrap();
    let heard = heard.lock().unwrap();
    assert!(!heard.windows(3).any(|window| window == b"let"), "in clear text on the wire");
    heard.clone()
}

#[tokio::test]
async fn what_was_recorded_cannot_be_played_again() {
    let (mut caller, there) = duplex(64 * 1024);
    let accepted = tokio::spawn(async move { accept(there, &keys(&[OURS])).await });
    caller.write_all(&recorded().await).await.unwrap();
    let refused = accepted.await.unwrap().unwrap_err().to_string();
    assert!(refused.contains("it repeats what was recorded"), "{refused}");
}

#[tokio::test]
async fn one_changed_bit_ends_the_connection() {
    let (here, mut tap) = duplex(64 * 1024);
    let (mut onward, there) = duplex(64 * 1024);
    let ours = keys(&[OURS]);
    let relay = async {
        let mut hello = [0; 64];
        tap.read_exact(&mut hello).await.unwrap();
        onward.write_all(&hello).await.unwrap();
        let mut answer = [0; 48];
        onward.read_exact(&mut answer).await.unwrap();
        tap.write_all(&answer).await.unwrap();
        let mut rest = [0; 4096];
        let count = tap.read(&mut rest).await.unwrap();
        rest[count - 1] ^= 1;
        onward.write_all(&rest[..count]).await.unwrap();
    };
    let dial = async {
        let mut end = connect(here, &ours).await.unwrap();
        end.write_all(b"hello").await.unwrap();
        end.flush().await.unwrap();
        end
    };
    let listen = async {
        let mut end = accept(there, &ours).await.unwrap();
        end.read(&mut [0; 16]).await.unwrap_err()
    };
    let ((), _end, error) = tokio::join!(relay, dial, listen);
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}
