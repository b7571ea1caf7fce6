//! The reader under every way that bytes may arrive in.

use proptest::prelude::*;

use super::*;

fn feed(reader: &mut Reader, bytes: &[u8]) {
    reader.buffer().extend_from_slice(bytes);
}

fn all(reader: &mut Reader, stranger: bool) -> Result<Vec<Words>, ProtocolError> {
    let mut requests = Vec::new();
    while let Some(words) = reader.next(Allowance::new(stranger))? {
        requests.push(words);
    }
    Ok(requests)
}

fn read(bytes: &[u8]) -> Result<Vec<Words>, ProtocolError> {
    let mut reader = Reader::default();
    feed(&mut reader, bytes);
    all(&mut reader, false)
}

fn encoded(requests: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for words in requests {
        bytes.extend(format!("*{}\r\n", words.len()).into_bytes());
        for word in words {
            bytes.extend(format!("${}\r\n", word.len()).into_bytes());
            bytes.extend(word);
            bytes.extend(b"\r\n");
        }
    }
    bytes
}

#[test]
fn empty_requests_are_passed_over() {
    assert_eq!(read(b"*0\r\n*-1\r\n\r\n  \r\nPING\r\n"), Ok(vec![vec![Bytes::from("PING")]]));
}

#[test]
fn each_error_has_the_words_of_redis() {
    let long = vec![b'x'; limits::RESP_LINE_BYTES + 1];
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (b"*x\r\n".to_vec(), "invalid multibulk length"),
        (b"*1025\r\n".to_vec(), "invalid multibulk length"),
        (b"*1\r\n#4\r\n".to_vec(), "expected '$', got '#'"),
        (b"*1\r\n$-1\r\n".to_vec(), "invalid bulk length"),
        (b"*1\r\n$65537\r\n".to_vec(), "invalid bulk length"),
        (b"*1\r\n$1\r\nabc".to_vec(), "invalid bulk length"),
        (b"PING \"\r\n".to_vec(), "unbalanced quotes in request"),
        (long.clone(), "too big inline request"),
        ([&b"*"[..], &long].concat(), "too big mbulk count string"),
        ([&b"*1\r\n$"[..], &long].concat(), "too big bulk count string"),
    ];
    for (bytes, text) in cases {
        assert_eq!(read(&bytes), Err(ProtocolError(text.to_owned())));
    }
}

#[test]
fn strangers_get_less() {
    for (bytes, text) in [(&b"*11\r\n"[..], "unauthenticated multibulk length"), (b"*1\r\n$16385\r\n", "unauthenticated bulk length")] {
        let mut reader = Reader::default();
        feed(&mut reader, bytes);
        assert_eq!(all(&mut reader, true), Err(ProtocolError(text.to_owned())));
        assert_eq!(read(bytes), Ok(vec![]));
    }
}

#[test]
fn a_request_is_bounded_as_a_whole() {
    let word = vec![b'x'; limits::RESP_WORD_BYTES];
    let bytes = encoded(&[vec![word; 17]]);
    let mut reader = Reader::default();
    let mut held = 0;
    let refused = bytes.chunks(4096).any(|chunk| {
        feed(&mut reader, chunk);
        held = held.max(reader.buffer.capacity());
        all(&mut reader, false).is_err()
    });
    assert!(refused, "a request of more than {} bytes was accepted", bounds::REQUEST_BYTES);
    assert!(held <= 2 * (limits::RESP_WORD_BYTES + bounds::READ_BYTES), "the buffer grew to {held}");
}

#[test]
fn single_bytes_cost_one_look_each() {
    // 1000 words in single bytes: with a new start for each read this is quadratic and takes minutes.
    let bytes = encoded(&[vec![vec![b'x'; 300]; 1000]]);
    let mut reader = Reader::default();
    let started = std::time::Instant::now();
    let mut requests = 0;
    for byte in &bytes {
        feed(&mut reader, std::slice::from_ref(byte));
        requests += all(&mut reader, false).expect("a good request").len();
    }
    assert_eq!(requests, 1);
    assert!(started.elapsed() < std::time::Duration::from_secs(5), "took {:?}", started.elapsed());
}

proptest! {
    #[test]
    fn the_split_does_not_matter(
        requests in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6), 0..6),
        cuts in prop::collection::vec(1_usize..20, 1..60),
    ) {
        let bytes = encoded(&requests);
        let mut reader = Reader::default();
        let (mut seen, mut at) = (Vec::new(), 0);
        for cut in cuts.iter().cycle() {
            if at >= bytes.len() { break; }
            let end = (at + cut).min(bytes.len());
            feed(&mut reader, &bytes[at..end]);
            at = end;
            seen.extend(all(&mut reader, false).expect("a good request"));
        }
        let expected: Vec<Words> = requests.iter().map(|words| words.iter().map(|word| Bytes::from(word.clone())).collect()).collect();
        prop_assert_eq!(seen, expected);
        prop_assert!(reader.buffer.is_empty());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop_oneof![Just(b'*'), Just(b'$'), Just(b'\r'), Just(b'\n'), Just(b'1'), Just(b'"'), any::<u8>()], 0..400), cut in 1_usize..50) {
        let mut reader = Reader::default();
        let whole = read(&bytes);
        let mut pieces = Ok(Vec::new());
        for chunk in bytes.chunks(cut) {
            feed(&mut reader, chunk);
            match (&mut pieces, all(&mut reader, false)) {
                (Ok(seen), Ok(more)) => seen.extend(more),
                (Ok(_), Err(error)) => pieces = Err(error),
                (Err(_), _) => break,
            }
            if pieces.is_err() { break; }
        }
        prop_assert_eq!(pieces, whole);
    }
}
