//! TLS over TCP by rustls: the only layer that names it beside the verifier of the front door.
