//! As much of HTTP/1.1 as a JSON-RPC client needs: POST requests with a length, one after the other on a connection.

use std::io::{self, BufRead, BufReader};
use std::net::TcpStream;
use std::thread;

use super::body::Body;
use super::chain::Chain;
use super::{Shared, answers};

/// Largest request that is read.
const LARGEST: usize = 4 << 20;

/// Answers the requests of a connection until its client closes it.
pub(super) fn serve(mut stream: TcpStream, chain: &Chain, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut requests = BufReader::with_capacity(64 << 10, stream.try_clone()?);
    while let Some(request) = next_request(&mut requests)? {
        let request = serde_json::from_slice(&request)?;
        shared.counts().requests += 1;
        thread::sleep(shared.latency());
        let mut body = Body::begin(&mut stream);
        body.send_head()?;
        answers::answer(&mut body, chain, shared, &request)?;
        body.end()?;
    }
    Ok(())
}

/// The body of the next request; `None` at the end of the connection.
fn next_request(requests: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if requests.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse::<usize>().ok();
        }
    }
    let length = length
        .filter(|length| *length <= LARGEST)
        .ok_or_else(|| io::Error::other("a request without a length that does"))?;
    let mut body = vec![0; length];
    requests.read_exact(&mut body)?;
    Ok(Some(body))
}
