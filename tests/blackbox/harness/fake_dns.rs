//! A DNS server that says what a test wants (RFC 1035): texts at names, or nothing at all.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// The server. It ends with its value.
pub(crate) struct FakeDns {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    texts: HashMap<String, Vec<String>>,
    mood: Mood,
    asked: Vec<String>,
    has_ended: bool,
}

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mood {
    /// With what is there.
    #[default]
    Honest,
    /// That it failed (SERVFAIL).
    Failing,
    /// Not at all.
    Silent,
}

/// A TXT record, and the class of the Internet.
const TXT: u16 = 16;
const IN: u16 = 1;

const NO_ERROR: u8 = 0;
const SERVFAIL: u8 = 2;
const NXDOMAIN: u8 = 3;

impl FakeDns {
    /// Starts without any records.
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("bound");
        let state = Arc::new(Mutex::new(State::default()));
        let thread = std::thread::spawn({
            let state = Arc::clone(&state);
            move || serve(&socket, &state)
        });
        Self { address, state, thread: Some(thread) }
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Has exactly these texts at a name from now on, a record each.
    pub(crate) fn set(&self, name: &str, texts: &[&str]) {
        let texts = texts.iter().map(|&text| text.to_owned()).collect();
        self.state().texts.insert(name.to_owned(), texts);
    }

    /// Answers in this way from now on.
    pub(crate) fn be(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// Names that it was asked for so far.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for FakeDns {
    fn drop(&mut self) {
        self.state().has_ended = true;
        // Wakes it, so that it sees that.
        let own = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let _ = own.send_to(&[], self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(socket: &UdpSocket, state: &Mutex<State>) {
    let mut query = [0; 4096];
    loop {
        let Ok((len, from)) = socket.recv_from(&mut query) else { return };
        if lock(state).has_ended {
            return;
        }
        if let Some(answer) = answer(&query[..len], &mut lock(state)) {
            let _ = socket.send_to(&answer, from);
        }
    }
}

/// The answer to a query, if there is to be one.
fn answer(query: &[u8], state: &mut State) -> Option<Vec<u8>> {
    let (name, question_end) = question(query)?;
    state.asked.push(name.clone());
    let kind = u16::from_be_bytes(query.get(question_end - 4..question_end - 2)?.try_into().ok()?);
    let texts = state.texts.get(&name).filter(|_| state.mood == Mood::Honest && kind == TXT);
    let code = match (state.mood, texts) {
        (Mood::Silent, _) => return None,
        (Mood::Failing, _) => SERVFAIL,
        (Mood::Honest, Some(_)) => NO_ERROR,
        (Mood::Honest, None) => NXDOMAIN,
    };
    let texts = texts.map_or(&[][..], Vec::as_slice);
    let mut answer = query.get(..2)?.to_vec();
    // A response, recursion desired and available; one question, so many answers, nothing else.
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::try_from(texts.len()).ok()?, 0, 0, 0, 0]);
    answer.extend_from_slice(query.get(12..question_end)?);
    for text in texts {
        // The name of the question, by a pointer to it.
        answer.extend([0xc0, 12]);
        answer.extend(TXT.to_be_bytes());
        answer.extend(IN.to_be_bytes());
        answer.extend(60_u32.to_be_bytes());
        let strings: Vec<_> = text.as_bytes().chunks(255).collect();
        let size = strings.iter().map(|string| 1 + string.len()).sum::<usize>();
        answer.extend(u16::try_from(size).ok()?.to_be_bytes());
        for string in strings {
            answer.push(u8::try_from(string.len()).ok()?);
            answer.extend_from_slice(string);
        }
    }
    Some(answer)
}

/// The name of the first question, in lower case and without the dot at its end, and where the question ends.
fn question(query: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let len = usize::from(*query.get(at)?);
        at += 1;
        if len == 0 {
            return Some((labels.join("."), at + 4));
        }
        labels.push(String::from_utf8_lossy(query.get(at..at + len)?).to_ascii_lowercase());
        at += len;
    }
}
