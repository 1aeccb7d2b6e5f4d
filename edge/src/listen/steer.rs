//! Which worker gets a QUIC packet.
//!
//! The kernel would spread datagrams over a group of SO_REUSEPORT sockets by a hash of the addresses, so that a client that changes
//! its port would arrive at a worker that does not know its connection. Instead, the connection ids that we give out carry the
//! worker in their first byte, and a classic BPF program on the group selects the socket by that byte. A client's own first
//! connection id is random; it selects some worker, which answers with an id that leads back to itself.

use nix::libc::{
    BPF_A, BPF_ABS, BPF_ALU, BPF_B, BPF_JA, BPF_JMP, BPF_JSET, BPF_K, BPF_LD, BPF_MOD, BPF_RET, sock_filter,
    sock_fprog,
};
use nix::sys::socket::{setsockopt, sockopt::AttachReusePortCbpf};
use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid, RandomConnectionIdGenerator};
use std::io;
use std::net::UdpSocket;
use std::time::Duration;

/// The worker has to fit into a byte.
pub(super) const WORKER_COUNT_MAX: usize = 256;

/// The shortest id that a client must take as a destination in its first packets (RFC 9000 §7.2); seven bytes of it are random.
const ID_SIZE: usize = 8;

/// Makes the kernel select the socket of a group by the worker in the connection id.
///
/// `sockets` are all sockets of the group in the order in which they were bound, which is the order of the workers.
pub(super) fn attach(sockets: &[UdpSocket]) -> io::Result<()> {
    let [socket, _, ..] = sockets else { return Ok(()) };
    let worker_count = u32::try_from(sockets.len()).map_err(io::Error::other)?;
    let mut program = program(worker_count);
    let filter = sock_fprog { len: PROGRAM_LENGTH, filter: program.as_mut_ptr() };
    setsockopt(socket, AttachReusePortCbpf, &filter).map_err(io::Error::from)
}

const PROGRAM_LENGTH: u16 = 7;

/// The program sees the datagram without its UDP header. A load past its end ends the program with 0, the first worker.
fn program(worker_count: u32) -> [sock_filter; PROGRAM_LENGTH as usize] {
    const LOAD_BYTE: u32 = BPF_LD | BPF_B | BPF_ABS;
    [
        instruction(LOAD_BYTE, 0),
        // RFC 8999 §5: the highest bit tells a long header, whose destination id begins after version and length.
        sock_filter { jf: 2, ..instruction(BPF_JMP | BPF_JSET | BPF_K, 0x80) },
        instruction(LOAD_BYTE, 6),
        instruction(BPF_JMP | BPF_JA, 1),
        instruction(LOAD_BYTE, 1),
        instruction(BPF_ALU | BPF_MOD | BPF_K, worker_count),
        instruction(BPF_RET | BPF_A, 0),
    ]
}

fn instruction(code: u32, k: u32) -> sock_filter {
    // Operation codes of classic BPF have 16 bits; the constants are wider than their field.
    sock_filter { code: code as u16, jt: 0, jf: 0, k }
}

/// Makes connection ids that lead back to one worker.
#[derive(Debug, Clone, Copy)]
pub(super) struct WorkerIds {
    worker: u8,
    worker_count: u16,
    random: RandomConnectionIdGenerator,
}

impl WorkerIds {
    /// `worker` counts from 0 and is below `worker_count`, which is at most [`WORKER_COUNT_MAX`].
    pub(super) fn new(worker: u8, worker_count: u16) -> Self {
        Self { worker, worker_count, random: RandomConnectionIdGenerator::new(ID_SIZE) }
    }

    /// The byte next to a random one that leads to this worker, so that the byte says no more than it must.
    fn mark(&self, random: u8) -> u8 {
        let random = u16::from(random);
        let marked = random - random % self.worker_count + u16::from(self.worker);
        // Past the last whole round of workers: one round back.
        u8::try_from(marked).unwrap_or_else(|_| (marked - self.worker_count) as u8)
    }
}

impl ConnectionIdGenerator for WorkerIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut id = self.random.generate_cid();
        if let Some(first) = id.first_mut() {
            *first = self.mark(*first);
        }
        id
    }

    /// A packet for another worker gets here when the kernel has merged datagrams of two connections from one client's port. It is
    /// dropped like a lost one. As all workers share the key of stateless resets, a reset from here would end the other's connection.
    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        let first = id.first().ok_or(InvalidCid)?;
        if u16::from(*first) % self.worker_count == u16::from(self.worker) { Ok(()) } else { Err(InvalidCid) }
    }

    fn cid_len(&self) -> usize {
        ID_SIZE
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listen::sockets;

    #[test]
    fn every_id_leads_back_to_its_worker() {
        for worker_count in [1, 2, 3, 7, 64, 255, 256] {
            for worker in [0, worker_count / 2, worker_count - 1] {
                let mut ids = WorkerIds::new(u8::try_from(worker).expect("below 256"), worker_count);
                for random in 0..=255 {
                    assert_eq!(u16::from(ids.mark(random)) % worker_count, worker);
                }
                let id = ids.generate_cid();
                assert_eq!(id.len(), ids.cid_len());
                assert!(ids.validate(&id).is_ok());
            }
        }
    }

    #[test]
    fn an_id_of_another_worker_is_told_apart() {
        let id = WorkerIds::new(1, 3).generate_cid();
        assert!(WorkerIds::new(1, 3).validate(&id).is_ok());
        assert!(WorkerIds::new(0, 3).validate(&id).is_err());
        assert!(WorkerIds::new(2, 3).validate(&id).is_err());
    }

    /// Sends a datagram and says which worker it came to.
    async fn worker_of(sockets: &[tokio::net::UdpSocket], datagram: &[u8]) -> usize {
        let client = UdpSocket::bind("127.0.0.1:0").expect("binds");
        client.send_to(datagram, sockets[0].local_addr().expect("bound")).expect("sends");
        let arrivals = sockets.iter().map(|socket| Box::pin(async { socket.recv(&mut [0; 64]).await }));
        let (received, worker, _) = futures_util::future::select_all(arrivals).await;
        assert_eq!(received.expect("a datagram"), datagram.len());
        worker
    }

    #[tokio::test]
    async fn the_kernel_selects_the_worker_by_the_id_whatever_the_port_of_the_client() {
        const WORKERS: u16 = 3;
        let bound = sockets::bind(&["127.0.0.1:0".parse().expect("address")], WORKERS.into()).expect("binds");
        let sockets: Vec<_> = bound
            .into_iter()
            .flat_map(|address| address.udp)
            .map(|socket| tokio::net::UdpSocket::from_std(socket).expect("registers"))
            .collect();
        for worker in [0, 1, 2, 1, 0, 2, 2, 2, 0] {
            let id = WorkerIds::new(worker, WORKERS).generate_cid();
            let short = [&[0x40][..], &id, &[0xff; 20]].concat();
            let long = [&[0xc0, 0, 0, 0, 1, 8][..], &id, &[0xff; 20]].concat();
            assert_eq!(worker_of(&sockets, &short).await, usize::from(worker));
            assert_eq!(worker_of(&sockets, &long).await, usize::from(worker));
        }
    }

    #[tokio::test]
    async fn a_datagram_too_short_for_an_id_goes_to_the_first_worker() {
        let bound = sockets::bind(&["127.0.0.1:0".parse().expect("address")], 2).expect("binds");
        let sockets: Vec<_> = bound
            .into_iter()
            .flat_map(|address| address.udp)
            .map(|socket| tokio::net::UdpSocket::from_std(socket).expect("registers"))
            .collect();
        for datagram in [&[0x40_u8][..], &[0xc0, 0, 0]] {
            assert_eq!(worker_of(&sockets, datagram).await, 0);
        }
    }
}
