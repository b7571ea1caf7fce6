//! The network itself: what is cut is cut, silently, and nothing else is.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::kit::net::{Host, Net, OBSERVER};

const PORT: u16 = 7000;
/// What does not come within it is silence, on a starved machine too.
const LIMIT: Duration = Duration::from_millis(1500);

/// Answers every byte with the same byte.
fn echo(host: &Host) {
    let ip = host.ip();
    let listener = host.spawn(move || TcpListener::bind((ip, PORT))).join().expect("the thread ends").expect("the address is there");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || io::copy(&mut &stream, &mut &stream));
        }
    });
}

fn dial(from: &Host, to: &Host) -> io::Result<TcpStream> {
    let address = SocketAddr::from((to.ip(), PORT));
    let stream = from.spawn(move || TcpStream::connect_timeout(&address, LIMIT)).join().expect("the thread ends")?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn round_trip(stream: &TcpStream) -> io::Result<()> {
    let (mut stream, mut byte) = (stream, [7]);
    stream.write_all(&byte)?;
    stream.read_exact(&mut byte)
}

/// Nothing came back, not even a refusal.
fn is_silence<T>(answer: &io::Result<T>) -> bool {
    answer.as_ref().err().is_some_and(means_silence)
}

fn means_silence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

fn three() -> (Net, [Host; 3]) {
    let net = Net::new(&["a", "b", "c"]).expect("a network can be made: this target needs root and iproute2");
    let hosts = ["a", "b", "c"].map(|name| net.host(name).clone());
    hosts.iter().for_each(echo);
    (net, hosts)
}

/// Who reaches whom by a new connection: pairs of the letters of their names.
fn reach(net: &Net, hosts: &[Host; 3]) -> String {
    let askers = hosts.iter().chain([net.observer()]);
    let pairs = askers.flat_map(|from| hosts.iter().filter(|to| to.name() != from.name()).map(move |to| (from.clone(), to.clone())));
    let meet = |(from, to): (Host, Host)| match dial(&from, &to).and_then(|stream| round_trip(&stream)) {
        Ok(()) => Some(format!("{}{}", &from.name()[..1], to.name())),
        Err(e) if means_silence(&e) => None,
        Err(e) => panic!("{} to {}: {e}", from.name(), to.name()),
    };
    // All at once: silence takes its time.
    let asking: Vec<_> = pairs.map(|pair| std::thread::spawn(move || meet(pair))).collect();
    let met: Vec<String> = asking.into_iter().filter_map(|pair| pair.join().expect("the thread ends")).collect();
    met.join(" ")
}

#[test]
fn a_cut_is_silent_concerns_whom_it_names_and_heals() {
    let (net, hosts) = three();
    let [a, b, _] = &hosts;
    let all = "ab ac ba bc ca cb oa ob oc";
    assert_eq!(reach(&net, &hosts), all);
    let old = dial(a, b).expect("a reaches b");

    net.cut("a", "b").expect("the rule is taken");
    assert_eq!(reach(&net, &hosts), "ac bc ca cb oa ob oc");
    assert!(is_silence(&round_trip(&old)), "an open connection is cut as silently as a new one");
    net.heal().expect("the rules go");
    assert_eq!(reach(&net, &hosts), all);

    net.isolate("a").expect("the rules are taken");
    net.isolate("a").expect("twice is as good as once");
    assert_eq!(reach(&net, &hosts), "bc cb oa ob oc");
    net.heal().expect("the rules go");

    net.separate(&["a", "b"], &["c"]).expect("the rules are taken");
    assert_eq!(reach(&net, &hosts), "ab ba oa ob oc");
    net.heal_one_way("a", "c").expect("the rule goes");
    assert_eq!(reach(&net, &hosts), "ab ba oa ob oc", "one way is not enough for a handshake");
    net.heal_one_way("c", "a").expect("the rule goes");
    assert_eq!(reach(&net, &hosts), "ab ac ba ca oa ob oc");
    net.heal().expect("the rules go");
    assert_eq!(reach(&net, &hosts), all);
}

#[test]
fn a_connection_survives_a_cut_that_is_short() {
    let (net, [a, b, _]) = three();
    let stream = dial(&a, &b).expect("a reaches b");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a limit can be set");
    net.isolate("b").expect("the rules are taken");
    let start = Instant::now();
    let waiting = std::thread::spawn(move || round_trip(&stream));
    std::thread::sleep(LIMIT);
    assert!(!waiting.is_finished(), "nothing passes");
    net.heal().expect("the rules go");
    waiting.join().expect("the thread ends").expect("what was sent into the cut is sent again");
    assert!(start.elapsed() > LIMIT);
}

/// Bytes arrive on the open way; that they did is seen at the other end, since no answer can come back.
#[test]
fn one_way_cuts_let_the_other_way_pass() {
    let (net, [a, b, c]) = three();
    type Cutting = fn(&Net) -> Result<(), crate::kit::net::NetError>;
    let ways: [(Cutting, bool); 4] = [
        (|net| net.cut_one_way("b", "a"), true),
        (|net| net.cut_one_way("a", "b"), false),
        (|net| net.deafen("a"), true),
        (|net| net.silence("a"), false),
    ];
    for (number, (cut, arrives)) in ways.into_iter().enumerate() {
        let (ip, port) = (b.ip(), 7100 + u16::try_from(number).expect("few"));
        let listener = b.spawn(move || TcpListener::bind((ip, port))).join().expect("the thread ends").expect("the address is there");
        let at = SocketAddr::from((ip, port));
        let mut said = a.spawn(move || TcpStream::connect_timeout(&at, LIMIT)).join().expect("the thread ends").expect("a reaches b");
        let (mut heard, _) = listener.accept().expect("somebody has come");
        heard.set_read_timeout(Some(LIMIT)).expect("a limit can be set");
        cut(&net).expect("the rule is taken");
        said.write_all(b"x").expect("the socket takes it");
        let mut byte = [0];
        let answer = heard.read_exact(&mut byte);
        assert_eq!(answer.is_ok(), arrives, "way {number}: {answer:?}");
        assert!(is_silence(&dial(&a, &b)) && is_silence(&dial(&b, &a)), "no handshake without both ways");
        dial(&c, &b).expect("others are not concerned");
        net.heal().expect("the rules go");
        dial(&a, &b).expect("healed");
    }
}

#[test]
fn processes_run_in_a_host_and_see_only_that() {
    let net = Net::new(&["a"]).expect("a network can be made: this target needs root and iproute2");
    let output = net.host("a").command("ip").args(["-4", "-o", "addr", "show", "dev", "eth0"]).stderr(Stdio::inherit()).output();
    let text = String::from_utf8(output.expect("ip runs").stdout).expect("text");
    assert!(text.contains(&format!("inet {}/32", net.host("a").ip())), "{text}");
    assert_eq!(net.observer().name(), OBSERVER);
    assert!(Net::new(&["a", OBSERVER]).is_err(), "the observer's name is taken");
}

/// Nothing to clean up: the namespaces go with the value.
#[test]
fn nothing_is_left() {
    let inode = |path: &str| std::fs::read_link(path).ok();
    let net = Net::new(&["a"]).expect("a network can be made: this target needs root and iproute2");
    let path = net.host("a").path();
    let namespace = inode(&path).expect("the file is open");
    drop(net);
    assert_ne!(inode(&path), Some(namespace), "the file is closed");
}
