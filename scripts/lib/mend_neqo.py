"""Mends neqo where nothing outside of neqo could: a server could end the whole process, every connection left
something behind, streams and tokens that came early were lost, and streams with nothing on them ended the connection.

  python3 mend_neqo.py FOLDER     the folder with neqo's crates

Each mend replaces a text that must be there exactly once, and puts the file's new checksum where cargo looks for
it. What is mended already is left as it is.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

MENDS = [
    # A literal's length is only announced, in a few bytes, and room is made for all of it at once: half a
    # petabyte ends the process. No header field that HTTP knows is so long.
    (
        "neqo-qpack",
        "src/reader.rs",
        """                    let v = reader.read(s)?;
                    self.literal
                        .resize(v""",
        """                    let v = reader.read(s)?;
                    if v > 0x1_0000 {
                        return Err(Error::Decoding);
                    }
                    self.literal
                        .resize(v""",
    ),
    # NSPR makes up an identity for each connection and never forgets one: 60 bytes, until the process ends.
    (
        "neqo-crypto",
        "src/agent.rs",
        """        let label = CString::new("sslwrapper")?;
        let id = unsafe { prio::PR_GetUniqueIdentity(label.as_ptr()) };
""",
        """        static ID: std::sync::OnceLock<prio::PRDescIdentity> = std::sync::OnceLock::new();
        let label = CString::new("sslwrapper")?;
        let id = *ID.get_or_init(|| unsafe { prio::PR_GetUniqueIdentity(label.as_ptr()) });
""",
    ),
    # Whatever comes of the handshake late, as a second ticket or a repetition does, found the streams that the server
    # had opened meanwhile, and that ended the process. Their limits were known when they were opened.
    (
        "neqo-transport",
        "src/send_stream.rs",
        """                assert!(!id.is_remote_initiated(Role::Client));
                remote""",
        """                if id.is_remote_initiated(Role::Client) {
                    continue;
                }
                remote""",
    ),
    # A stream of a WebTransport session may overtake the response that opens it. Nobody was told of such a stream,
    # neither then nor later: what waited on it waited for ever.
    (
        "neqo-http3",
        "src/features/extended_connect/webtransport_session.rs",
        """        if self.state == SessionState::Active {
            if stream_id.is_bidi() {""",
        """        if matches!(self.state, SessionState::Negotiating | SessionState::Active) {
            if stream_id.is_bidi() {""",
    ),
    # A stream of a WebTransport session may have nothing on it. Its end comes with its beginning then, and neqo
    # took that for a fault of the whole connection.
    (
        "neqo-http3",
        "src/stream_type_reader.rs",
        """                    if fin {
                        return Err(Error::HttpGeneralProtocol);""",
        """                    if fin && is_push {
                        return Err(Error::HttpGeneralProtocol);""",
    ),
    # What was read with the beginning can't be read again: the stream has to know that it is at its end.
    (
        "neqo-http3",
        "src/features/extended_connect/webtransport_streams.rs",
        """        session: Rc<RefCell<WebTransportSession>>,
    ) -> Self {
        Self {
            stream_id,
            events,
            session_id,
            session,
            fin: false,
        }""",
        """        session: Rc<RefCell<WebTransportSession>>,
        conn: &mut Connection,
    ) -> Self {
        let nothing = conn.stream_recv(stream_id, &mut []);
        let fin = matches!(nothing, Err(neqo_transport::Error::NoMoreData));
        Self {
            stream_id,
            events,
            session_id,
            session,
            fin,
        }""",
    ),
    (
        "neqo-http3",
        "src/features/extended_connect/webtransport_streams.rs",
        """        let (amount, fin) = conn.stream_recv(self.stream_id, buf)?;
        self.fin = fin;""",
        """        let (amount, fin) = if self.fin {
            (0, true)
        } else {
            conn.stream_recv(self.stream_id, buf)?
        };
        self.fin = fin;""",
    ),
    (
        "neqo-http3",
        "src/connection.rs",
        """                        recv_events,
                        webtransport_session,
                    )),
                );
            }
        } else {""",
        """                        recv_events,
                        webtransport_session,
                        conn,
                    )),
                );
            }
        } else {""",
    ),
    (
        "neqo-http3",
        "src/connection.rs",
        """                    recv_events,
                    webtransport_session,
                )),
            );
        }
        Ok(())""",
        """                    recv_events,
                    webtransport_session,
                    conn,
                )),
            );
        }
        Ok(())""",
    ),
    (
        "neqo-http3",
        "src/connection.rs",
        """    fn webtransport_create_stream_internal(
        &mut self,
        webtransport_session""",
        """    fn webtransport_create_stream_internal(
        &mut self,
        conn: &mut Connection,
        webtransport_session""",
    ),
    (
        "neqo-http3",
        "src/connection.rs",
        """        self.webtransport_create_stream_internal(
            wt,
            stream_id,
            session_id,
            send_events,
            recv_events,
            true,""",
        """        self.webtransport_create_stream_internal(
            conn,
            wt,
            stream_id,
            session_id,
            send_events,
            recv_events,
            true,""",
    ),
    (
        "neqo-http3",
        "src/connection.rs",
        """    pub fn webtransport_create_stream_remote(
        &mut self,
        session_id""",
        """    pub fn webtransport_create_stream_remote(
        &mut self,
        conn: &mut Connection,
        session_id""",
    ),
    (
        "neqo-http3",
        "src/connection.rs",
        """        self.webtransport_create_stream_internal(
            wt,
            stream_id,
            session_id,
            send_events,
            recv_events,
            false,""",
        """        self.webtransport_create_stream_internal(
            conn,
            wt,
            stream_id,
            session_id,
            send_events,
            recv_events,
            false,""",
    ),
    (
        "neqo-http3",
        "src/connection_client.rs",
        """                self.base_handler.webtransport_create_stream_remote(
                    StreamId""",
        """                self.base_handler.webtransport_create_stream_remote(
                    &mut self.conn,
                    StreamId""",
    ),
    (
        "neqo-http3",
        "src/connection_server.rs",
        """                self.base_handler.webtransport_create_stream_remote(
                    StreamId""",
        """                self.base_handler.webtransport_create_stream_remote(
                    conn,
                    StreamId""",
    ),
    # What a later connection can begin with is told together with the server's SETTINGS. When it came before them, as
    # it may, nobody was told, neither then nor later: it was lost, and so was the proof of address with it.
    (
        "neqo-http3",
        "src/connection_client.rs",
        """    push_handler: Rc<RefCell<PushController>>,
}
""",
        """    push_handler: Rc<RefCell<PushController>>,
    early_token: Option<ResumptionToken>,
}
""",
    ),
    (
        "neqo-http3",
        "src/connection_client.rs",
        """            base_handler,
        }
    }
""",
        """            base_handler,
            early_token: None,
        }
    }
""",
    ),
    (
        "neqo-http3",
        "src/connection_client.rs",
        """                    if let Some(t) = self.encode_resumption_token(&token) {
                        self.events.resumption_token(t);
                    }
                }
                ConnectionEvent::Datagram(dgram) => {
                    self.base_handler.handle_datagram(&dgram);
                }
                ConnectionEvent::SendStreamComplete { .. }
                | ConnectionEvent::OutgoingDatagramOutcome { .. }
                | ConnectionEvent::IncomingDatagramDropped => {}
            }
        }
""",
        """                    self.early_token = Some(token);
                }
                ConnectionEvent::Datagram(dgram) => {
                    self.base_handler.handle_datagram(&dgram);
                }
                ConnectionEvent::SendStreamComplete { .. }
                | ConnectionEvent::OutgoingDatagramOutcome { .. }
                | ConnectionEvent::IncomingDatagramDropped => {}
            }
            if let Some(token) = &self.early_token {
                if let Some(t) = self.encode_resumption_token(token) {
                    self.early_token = None;
                    self.events.resumption_token(t);
                }
            }
        }
""",
    ),
]


def write(path, text):
    # Other copies of the repository may be building: a file is the old one or the new one.
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    os.replace(new, path)


def mend(crate, file, old, new):
    text = (crate / file).read_text()
    if new in text:
        return
    if text.count(old) != 1:
        sys.exit(f"{crate / file} is not what it is in neqo 0.13.4")
    text = text.replace(old, new)
    write(crate / file, text)
    sums = json.loads((crate / ".cargo-checksum.json").read_text())
    sums["files"][file] = hashlib.sha256(text.encode()).hexdigest()
    write(crate / ".cargo-checksum.json", json.dumps(sums, separators=(",", ":")))


for crate, file, old, new in MENDS:
    mend(Path(sys.argv[1]) / crate, file, old, new)
