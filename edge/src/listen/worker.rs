//! One thread, one single-threaded runtime, and the listeners of one worker.

use super::sockets::BoundAddress;
use super::{Respond, Shared, quic, tcp};
use std::io;
use std::net::{TcpListener, UdpSocket};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio_util::task::TaskTracker;

/// Tasks that are left when every connection has had its time to drain end in this time: each of them waits for nothing but the
/// connection's own end.
const CLEANUP_TIME_MAX: Duration = Duration::from_secs(1);

/// Which of how many workers.
#[derive(Debug, Clone, Copy)]
pub(super) struct WorkerIndex {
    pub(super) index: usize,
    pub(super) count: usize,
}

/// The sockets of one worker.
#[derive(Debug, Default)]
struct WorkerSockets {
    tcp: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
}

/// Starts every worker, and waits until each listens. When one does not, cancelling `shared.stop` ends the others.
pub(super) fn start<R: Respond>(
    worker_count: usize,
    addresses: Vec<BoundAddress>,
    shared: &Arc<Shared<R>>,
) -> io::Result<Vec<JoinHandle<()>>> {
    let (ready, started) = mpsc::channel();
    let mut threads = Vec::with_capacity(worker_count);
    for (index, sockets) in distribute(worker_count, addresses).into_iter().enumerate() {
        let worker = WorkerIndex { index, count: worker_count };
        let shared = Arc::clone(shared);
        let ready = ready.clone();
        let thread = thread::Builder::new()
            .name(format!("edge-worker-{index}"))
            .spawn(move || run(worker, sockets, &shared, &ready))?;
        threads.push(thread);
    }
    drop(ready);
    for _ in 0..worker_count {
        // Every worker reports once; one that panicked before it could has dropped its sender.
        started.recv().map_err(io::Error::other)??;
    }
    Ok(threads)
}

/// Each address has one socket of each kind for each worker, in their order.
fn distribute(worker_count: usize, addresses: Vec<BoundAddress>) -> Vec<WorkerSockets> {
    let mut workers: Vec<_> = (0..worker_count).map(|_| WorkerSockets::default()).collect();
    for address in addresses {
        for ((worker, tcp), udp) in workers.iter_mut().zip(address.tcp).zip(address.udp) {
            worker.tcp.push(tcp);
            worker.udp.push(udp);
        }
    }
    workers
}

fn run<R: Respond>(
    worker: WorkerIndex,
    sockets: WorkerSockets,
    shared: &Arc<Shared<R>>,
    ready: &mpsc::Sender<io::Result<()>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    runtime.block_on(async {
        let tasks = TaskTracker::new();
        let endpoints = match listen(worker, sockets, shared, &tasks) {
            Ok(endpoints) => endpoints,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        shared.stop.cancelled().await;
        tasks.close();
        tokio::select! {
            () = tasks.wait() => {}
            () = tokio::time::sleep(shared.drain_time_max + CLEANUP_TIME_MAX) => {
                tracing::warn!(worker = worker.index, tasks = tasks.len(), "connections outlasted the drain and are dropped");
            }
            () = quic::refuse_until_dropped(&endpoints) => {}
        }
        quic::close(&endpoints).await;
    });
}

/// Starts the accept loops of one worker.
fn listen<R: Respond>(
    worker: WorkerIndex,
    sockets: WorkerSockets,
    shared: &Arc<Shared<R>>,
    tasks: &TaskTracker,
) -> io::Result<Vec<quinn::Endpoint>> {
    for socket in sockets.tcp {
        let listener = tokio::net::TcpListener::from_std(socket)?;
        tasks.spawn(tcp::accept(listener, Arc::clone(shared), tasks.clone()));
    }
    let mut endpoints = Vec::with_capacity(sockets.udp.len());
    for socket in sockets.udp {
        let endpoint = shared.quic.endpoint(socket, worker)?;
        tasks.spawn(quic::accept(endpoint.clone(), Arc::clone(shared), tasks.clone()));
        endpoints.push(endpoint);
    }
    Ok(endpoints)
}
