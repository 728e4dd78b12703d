//! Headers as tables, as round trips, and as arbitrary bytes.

use proptest::prelude::*;

use super::*;

/// What a stream says, and what is left of it for whoever reads next.
fn read(bytes: &[u8]) -> (Result<Said, String>, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut rest = bytes;
    let said = runtime.block_on(read_header(&mut rest)).map_err(|error| error.to_string());
    (said, rest.len())
}

fn client(source: &str, destination: &str) -> Said {
    Said::Client { source: source.parse().unwrap(), destination: destination.parse().unwrap() }
}

fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE.as_slice(), &[command, family], &length, block].concat()
}

#[test]
fn lines_of_version_1_are_read_to_their_end() {
    for (line, want) in [
        ("PROXY TCP4 198.51.100.7 10.0.0.1 4711 443\r\n", client("198.51.100.7:4711", "10.0.0.1:443")),
        ("PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n", client("1.1.1.1:1", "2.2.2.2:2")),
        (
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            client("255.255.255.255:65535", "255.255.255.255:65535"),
        ),
        ("PROXY TCP6 2001:db8::7 ::1 4711 443\r\n", client("[2001:db8::7]:4711", "[::1]:443")),
        ("PROXY TCP6 :: :: 0 0\r\n", client("[::]:0", "[::]:0")),
        ("PROXY TCP6 ::ffff:1.2.3.4 ::ffff:5.6.7.8 1 2\r\n", client("1.2.3.4:1", "5.6.7.8:2")),
        ("PROXY UNKNOWN\r\n", Said::Nothing),
        ("PROXY UNKNOWN whatever this \t is\r\n", Said::Nothing),
    ] {
        let bytes = format!("{line}GET / HTTP/1.1\r\n");
        assert_eq!(read(bytes.as_bytes()), (Ok(want), 16), "{line}");
    }
}

#[test]
fn malformed_lines_are_refused() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(100));
    for line in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\x7c\x03\x03aaaaaaaaa",
        "proxy TCP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n 2222",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
        "PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.01 2.2.2.2 1 2\r\n",
        "PROXY TCP4 ::1 ::2 1 2 aaaaaaaaaa\r\n",
        "PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 +1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n",
        "PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n",
        "PROXY UNKNOWN\nGET / HTTP/1.1\r",
        long.as_str(),
    ] {
        assert!(read(line.as_bytes()).0.is_err(), "{line:?}");
    }
    let endless = [b"PROXY TCP4 ".as_slice(), &[b'1'; 4096]].concat();
    let (said, left) = read(&endless);
    assert_eq!((said, left), (Err("the line does not end".to_owned()), endless.len() - LONGEST_LINE));
}

#[test]
fn a_connection_without_a_byte_is_told_from_one_that_breaks() {
    assert_eq!(read(b"").0, Err("the connection ended without a byte".to_owned()));
    for cut in [&b"P"[..], b"PROXY TCP4 1.1.1.1 2.2", &v2(0x21, 0x11, &[0; 12])[..20]] {
        assert!(read(cut).0.is_err_and(|error| error.starts_with("the connection ended within")), "{cut:?}");
    }
}

#[test]
fn headers_of_version_2_are_read_to_their_end() {
    let four = [198, 51, 100, 7, 10, 0, 0, 1, 0x12, 0x67, 0x01, 0xbb];
    let mut six = [0; 36];
    six[..2].copy_from_slice(&[0x20, 0x01]);
    six[31] = 1;
    six[32..].copy_from_slice(&[0, 80, 0, 81]);
    let with_extensions = |block: &[u8], size: usize| [block, &vec![0xee; size]].concat();
    for (bytes, want) in [
        (v2(0x21, 0x11, &four), client("198.51.100.7:4711", "10.0.0.1:443")),
        (v2(0x21, 0x11, &with_extensions(&four, 7)), client("198.51.100.7:4711", "10.0.0.1:443")),
        (v2(0x21, 0x11, &with_extensions(&four, 9000)), client("198.51.100.7:4711", "10.0.0.1:443")),
        (v2(0x21, 0x21, &six), client("[2001::]:80", "[::1]:81")),
        (v2(0x21, 0x21, &with_extensions(&six, 1)), client("[2001::]:80", "[::1]:81")),
        (v2(0x20, 0x00, &[]), Said::Nothing),
        (v2(0x20, 0x11, &four), Said::Nothing),
        (v2(0x20, 0xff, &[1; 300]), Said::Nothing),
        (v2(0x21, 0x00, &[]), Said::Nothing),
        (v2(0x21, 0x00, &[1; 50]), Said::Nothing),
        (v2(0x21, 0x31, &[1; 216]), Said::Nothing),
    ] {
        let stream = [bytes.as_slice(), b"next"].concat();
        assert_eq!(read(&stream), (Ok(want), 4), "{bytes:?}");
    }
}

#[test]
fn malformed_headers_of_version_2_are_refused() {
    for bytes in [
        v2(0x21, 0x11, &[0; 11]),
        v2(0x21, 0x21, &[0; 35]),
        v2(0x22, 0x11, &[0; 12]),
        v2(0x11, 0x11, &[0; 12]),
        v2(0x31, 0x11, &[0; 12]),
        v2(0x21, 0x13, &[0; 12]),
        v2(0x21, 0x41, &[0; 36]),
        v2(0x21, 0x11, &vec![0; LONGEST_BLOCK + 1]),
    ] {
        assert!(read(&bytes).0.is_err(), "{:?}", &bytes[..16]);
    }
}

fn socket() -> impl Strategy<Value = SocketAddr> {
    (any::<bool>(), any::<u128>(), any::<u16>()).prop_map(|(four, bits, port)| {
        #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
        let ip = if four { IpAddr::from(Ipv4Addr::from(bits as u32)) } else { IpAddr::from(Ipv6Addr::from(bits)) };
        SocketAddr::new(ip, port)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(source in socket(), port in any::<u16>(), rest in proptest::collection::vec(any::<u8>(), 0..40)) {
        let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
        let line = format!("PROXY {family} {0} {0} {1} {port}\r\n", source.ip(), source.port());
        let want = Said::Client {
            source: SocketAddr::new(source.ip().to_canonical(), source.port()),
            destination: SocketAddr::new(source.ip().to_canonical(), port),
        };
        prop_assert_eq!(read(&[line.as_bytes(), &rest].concat()), (Ok(want), rest.len()));
        let (family, ip) = match source.ip() {
            IpAddr::V4(ip) => (0x11, ip.octets().to_vec()),
            IpAddr::V6(ip) => (0x21, ip.octets().to_vec()),
        };
        let block = [&ip[..], &ip, &source.port().to_be_bytes(), &port.to_be_bytes(), &rest].concat();
        prop_assert_eq!(read(&[v2(0x21, family, &block), rest.clone()].concat()), (Ok(want), rest.len()));
    }

    #[test]
    fn any_bytes_are_survived(start in 0_usize..4, bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let start = [&b""[..], b"PROXY ", b"PROXY TCP6 ", SIGNATURE][start];
        let stream = [start, &bytes].concat();
        let (said, left) = read(&stream);
        prop_assert!(said.is_err() || left <= stream.len() - SHORTEST);
    }
}
