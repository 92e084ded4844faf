//! How many round trips a connection costs: counted by a proxy that holds every byte back.

use crate::sshd::{Sshd, can_run, run};
use crate::tasks::shell;
use krun::inventory::connection::Connection;
use krun::proto::{FromAgent, ToAgent};
use krun::transport::connect_sending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// One way.
const DELAY: Duration = Duration::from_millis(50);

/// How long the longest chain of messages is in which each was sent after the one before had come.
#[derive(Default)]
struct Chain {
    /// What has come to either side: 0 is this one, 1 the host.
    seen: [AtomicUsize; 2],
}

impl Chain {
    fn sent_by(&self, side: usize) -> usize {
        self.seen[side].load(Ordering::SeqCst) + 1
    }

    fn comes_to(&self, side: usize, length: usize) {
        self.seen[side].fetch_max(length, Ordering::SeqCst);
    }

    /// Two messages are a round trip.
    fn length(&self) -> usize {
        self.seen[0].load(Ordering::SeqCst)
    }
}

/// Passes bytes on, each [`DELAY`] after it came; as many on the way as there are.
async fn delayed(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    chain: Arc<Chain>,
    side: usize,
) {
    let (sender, mut queue) = mpsc::unbounded_channel::<(Instant, usize, Vec<u8>)>();
    let read = async {
        let sender = sender;
        let mut piece = vec![0; 1 << 16];
        while let Ok(n @ 1..) = from.read(&mut piece).await {
            let due = Instant::now() + DELAY;
            let _ = sender.send((due, chain.sent_by(side), piece[..n].to_vec()));
        }
    };
    let write = async {
        while let Some((due, length, bytes)) = queue.recv().await {
            tokio::time::sleep_until(due.into()).await;
            chain.comes_to(1 - side, length);
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(read, write);
}

/// Leads to `port`; the chain is that of its latest connection.
async fn proxy(port: u16) -> (u16, Arc<Mutex<Arc<Chain>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let latest = Arc::new(Mutex::new(Arc::new(Chain::default())));
    let shared = Arc::clone(&latest);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            near.set_nodelay(true).unwrap();
            far.set_nodelay(true).unwrap();
            let chain = Arc::new(Chain::default());
            *shared.lock().unwrap() = Arc::clone(&chain);
            let (near_read, near_write) = near.into_split();
            let (far_read, far_write) = far.into_split();
            tokio::spawn(delayed(near_read, far_write, Arc::clone(&chain), 0));
            tokio::spawn(delayed(far_read, near_write, chain, 1));
        }
    });
    (address.port(), latest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_connection_costs_few_round_trips_and_brings_its_first_task_along() {
    if !can_run() {
        return;
    }
    let host = Sshd::start();
    // The agent is there from now on.
    let mut link = host.connect().await.unwrap();
    run(&mut link, shell(1, "true")).await.unwrap();
    link.close().await;

    let (port, latest) = proxy(host.port).await;
    let mut connection = host.connection();
    connection.port = Some(port);
    let known = std::fs::read_to_string(host.file("known_hosts")).unwrap();
    let known = known.replace(&host.port.to_string(), &port.to_string());
    std::fs::write(host.file("known_hosts"), known).unwrap();
    // On a busy machine a message is also sent late by chance, which lengthens a chain and never shortens it.
    let mut counted = Vec::new();
    for _ in 0..5 {
        let (stands, ended) = count(&host, &connection, &latest).await;
        eprintln!(
            "{stands} messages one after the other until it stands, {ended} until a task has ended"
        );
        // TCP's own handshake is not among them.
        if stands <= 16 && stands == ended {
            return;
        }
        counted.push((stands, ended));
    }
    panic!("{counted:?}");
}

/// Connects with a task to be done at once: the chain until the connection stands, and until the task has ended.
async fn count(host: &Sshd, connection: &Connection, latest: &Mutex<Arc<Chain>>) -> (usize, usize) {
    let (sender, mut first) = mpsc::unbounded_channel();
    sender
        .send(ToAgent::Task(Box::new(shell(1, "true"))))
        .unwrap();
    let options = Arc::new(host.options());
    let connected = connect_sending(&"host".into(), connection, &options, &mut first).await;
    let mut link = connected.unwrap();
    let chain = Arc::clone(&latest.lock().unwrap());
    let stands = chain.length();
    while !matches!(
        link.from_agent.recv().await,
        Some(Ok(FromAgent::Ended { .. }))
    ) {}
    let ended = chain.length();
    link.close().await;
    (stands, ended)
}
