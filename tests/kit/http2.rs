//! HTTP/2 as bytes, for clients that do what no library lets them do.

/// A client that begins so many requests and ends none: RFC 9113, sections 3.4 and 6.2; RFC 7541, section 6.2.2.
pub fn unfinished_requests(count: u32) -> Vec<u8> {
    let literal = |name: u8, value: &str| [&[name, value.len() as u8][..], value.as_bytes()].concat();
    let headers = [
        // :method POST, :scheme http.
        vec![0x83, 0x86],
        literal(0x04, "/raftsentinel.v1.Sentinel/GetMaster"),
        literal(0x01, "localhost"),
        [&[0x00, 12][..], b"content-type", &[16], b"application/grpc"].concat(),
        [&[0x00, 2][..], b"te", &[8], b"trailers"].concat(),
    ]
    .concat();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // Empty SETTINGS.
    bytes.extend([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    for number in 0..count {
        let (length, id) = (headers.len() as u32, 2 * number + 1);
        bytes.extend(&length.to_be_bytes()[1..]);
        // HEADERS, with all of them, and without the end of the request.
        bytes.extend([1, 4]);
        bytes.extend(id.to_be_bytes());
        bytes.extend(&headers);
    }
    bytes
}
