//! protected-mode, with a client that really is on another host.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use raft_sentinel::proto::sentinel::StatusRequest;
use tonic::{Code, Request};

use crate::kit::net::Net;
use crate::kit::sentinel::{Flavour, Orders, Ports};
use crate::kit::{Conn, GROUP, Grpc, Scratch, Sentinel, Timeline};

const LIMIT: Duration = Duration::from_secs(5);

#[test]
fn another_host_is_denied_until_there_is_a_password() {
    let net = Net::new(&["a"]).expect("a network can be made: this target needs root and iproute2");
    let here = net.host("a").clone();
    let test = move || {
        let (scratch, timeline, ports) = (Scratch::new(), Timeline::default(), Ports::on(here.ip()));
        let sentinel = |dir: &str, line: &str| {
            let lines = vec![
                "protected-mode yes".to_owned(),
                format!("bind {} 127.0.0.1", here.ip()),
                format!("sentinel monitor {GROUP} 127.0.0.1 1 1"),
                line.to_owned(),
            ];
            let orders = Orders { id: 1, peers: vec![ports], lines, host: Some(here.clone()), ..Orders::default() };
            Sentinel::start(Flavour::Ours, &scratch.path().join(dir), &timeline, &orders)
        };
        let from_here = |words: &'static [&'static str]| {
            let at = SocketAddr::from((Ipv4Addr::LOCALHOST, ports.resp));
            let asked = here.spawn(move || Conn::open_at(at, LIMIT)?.ask(words)).join().expect("the thread ends");
            asked.expect("it answers on its own host")
        };

        let open = sentinel("open", "# nobody needs a password");
        let mut conn = open.conn().expect("the port is open");
        let denied = conn.read().expect("it says why");
        assert!(denied.error().is_some_and(|text| text.starts_with("DENIED ") && text.contains("protected")), "{denied}");
        assert!(conn.ask(&["PING"]).is_err(), "and hangs up");
        assert_eq!(from_here(&["PING"]).text().as_deref(), Some("PONG"), "its own host gets in");
        let over_grpc = Grpc::at(open.ports.grpc_addr());
        let denied = over_grpc.wait(over_grpc.sentinel().status(StatusRequest::default())).expect_err("it is protected");
        assert_eq!(denied.code(), Code::PermissionDenied, "{denied}");
        drop((over_grpc, open));

        let closed = sentinel("closed", "requirepass secret");
        let mut conn = closed.conn().expect("the port is open");
        assert!(conn.ask(&["PING"]).expect("it answers").error().is_some_and(|text| text.starts_with("NOAUTH")));
        assert!(conn.ask(&["AUTH", "secret"]).expect("it answers").is_ok());
        assert_eq!(conn.ask(&["PING"]).expect("it answers").text().as_deref(), Some("PONG"));
        let over_grpc = Grpc::at(closed.ports.grpc_addr());
        let denied = over_grpc.wait(over_grpc.sentinel().status(StatusRequest::default())).expect_err("it has a password");
        assert_eq!(denied.code(), Code::Unauthenticated, "{denied}");
        let mut request = Request::new(StatusRequest::default());
        request.metadata_mut().insert("authorization", "Basic ZGVmYXVsdDpzZWNyZXQ=".parse().expect("it is ASCII"));
        over_grpc.wait(over_grpc.sentinel().status(request)).expect("default:secret is let in");
    };
    net.observer().spawn(test).join().expect("the test succeeds");
}
