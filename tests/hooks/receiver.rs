//! A receiver of webhooks that behaves as told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What to do with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answer {
    /// Answer with this status.
    Status(u16),
    /// Take it and say nothing.
    Silence,
    /// Close the connection.
    HangUp,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) head: String,
    pub(crate) body: serde_json::Value,
}

impl Taken {
    pub(crate) fn header(&self, name: &str) -> String {
        let line = self.head.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)));
        line.map(|(_, value)| value.to_owned()).unwrap_or_default()
    }
}

#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    answers: Arc<Mutex<VecDeque<Answer>>>,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Receiver {
    /// Answers the first requests like this, and all others with 200.
    pub(crate) async fn start(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook/s3cret?token=t0ken", listener.local_addr().unwrap());
        let receiver = Self { url, answers: Arc::new(Mutex::new(answers.iter().copied().collect())), taken: Arc::default() };
        let serving = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        receiver
    }

    pub(crate) fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }

    async fn serve(self, stream: TcpStream) -> Option<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if stream.read_line(&mut head).await.ok()? == 0 {
                    return None;
                }
            }
            let taken = Taken { head, body: serde_json::Value::Null };
            let mut body = vec![0; taken.header("content-length").parse().unwrap()];
            stream.read_exact(&mut body).await.ok()?;
            self.taken.lock().unwrap().push(Taken { body: serde_json::from_slice(&body).unwrap(), ..taken });
            let answer = self.answers.lock().unwrap().pop_front();
            match answer.unwrap_or(Answer::Status(200)) {
                Answer::Status(code) => {
                    let reply = format!("HTTP/1.1 {code} x\r\ncontent-length: 0\r\n\r\n");
                    stream.get_mut().write_all(reply.as_bytes()).await.ok()?;
                }
                Answer::Silence => std::future::pending().await,
                Answer::HangUp => return None,
            }
        }
    }
}
