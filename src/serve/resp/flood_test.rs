//! Most of a million frames that mean no good: requests, near misses and noise, in pieces of every size.

use super::*;

const FRAMES: u64 = 945_000;

/// xorshift64*.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, limit: u64) -> usize {
        usize::try_from(self.next() % limit).unwrap_or(0)
    }
}

const PARTS: [&[u8]; 22] = [
    b"*1\r\n",
    b"*3\r\n",
    b"*0\r\n",
    b"*-1\r\n",
    b"*1025\r\n",
    b"*x\r\n",
    b"*99999999999999999999\r\n",
    b"$4\r\nPING\r\n",
    b"$0\r\n\r\n",
    b"$3\r\nab\r\n",
    b"$-1\r\n",
    b"$65537\r\n",
    b"$5\r\n\r\n\r\n\x00\r\n",
    b"PING\r\n",
    b"SENTINEL masters\n",
    b"a \"b\\x41\" 'c'\r\n",
    b"\"open\r\n",
    b"\r\n",
    b"\xff\xfe",
    b"+OK\r\n",
    b"%1\r\n",
    b" ",
];

fn frame(dice: &mut Dice) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..1 + dice.below(4)).flat_map(|_| PARTS[dice.below(PARTS.len() as u64)]).copied().collect();
    if dice.below(3) == 0 {
        let at = dice.below(bytes.len() as u64);
        bytes[at] = u8::try_from(dice.below(256)).unwrap_or(0);
    }
    bytes
}

/// Whatever comes out is within the limits, and what is kept of it is, too.
#[test]
fn no_frame_harms_the_reader() {
    let (mut dice, mut reader) = (Dice(0x9E37_79B9_7F4A_7C15), Reader::default());
    let (mut requests, mut errors) = (0_u64, 0_u64);
    for number in 0..FRAMES {
        let stranger = number % 5 == 0;
        let bytes = frame(&mut dice);
        let cut = dice.below(bytes.len() as u64 + 1);
        for piece in [&bytes[..cut], &bytes[cut..]] {
            reader.buffer().extend_from_slice(piece);
            loop {
                match reader.next(Allowance::new(stranger)) {
                    Ok(Some(words)) => {
                        requests += 1;
                        assert!(!words.is_empty() && words.len() <= limits::RESP_WORDS);
                        assert!(words.iter().all(|word| word.len() <= limits::RESP_WORD_BYTES));
                    }
                    Ok(None) => break,
                    Err(_) => {
                        errors += 1;
                        // As in a session: the connection is closed, and the next client begins anew.
                        reader = Reader::default();
                        break;
                    }
                }
            }
        }
        assert!(reader.buffer.len() <= bounds::REQUEST_BYTES + limits::RESP_LINE_BYTES, "{} bytes are kept", reader.buffer.len());
    }
    // Both ways were really gone.
    assert!(requests > FRAMES / 50 && errors > FRAMES / 50, "{requests} requests, {errors} errors");
}

/// A line that was searched anew with each byte would take hours.
#[test]
fn a_request_in_single_bytes_takes_no_more_time_than_bytes() {
    let start = std::time::Instant::now();
    let word = vec![b'x'; limits::RESP_WORD_BYTES];
    let mut bytes = b"*15\r\n".to_vec();
    for _ in 0..15 {
        bytes.extend(format!("${}\r\n", word.len()).into_bytes());
        bytes.extend(&word);
        bytes.extend(b"\r\n");
    }
    let mut reader = Reader::default();
    let mut whole = 0;
    for byte in &bytes {
        reader.buffer().extend_from_slice(&[*byte]);
        whole += usize::from(reader.next(Allowance::new(false)).is_ok_and(|words| words.is_some()));
    }
    assert_eq!(whole, 1);
    let mut line = Reader::default();
    for _ in 0..limits::RESP_LINE_BYTES - 1 {
        line.buffer().extend_from_slice(b"x");
        assert_eq!(line.next(Allowance::new(false)), Ok(None));
    }
    assert!(start.elapsed() < std::time::Duration::from_secs(20), "{:?}", start.elapsed());
}
