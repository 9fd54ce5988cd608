//! The whole stack on real sockets of this machine, against peers of other making: quiche (our own
//! server, as a process), h3 on quinn, Caddy, and Chromium where it is installed.

#![cfg(test)]

mod broken_bodies;
mod caddy;
mod certificates;
mod chromium;
mod command;
mod command_compressed;
mod command_connecting;
mod command_failures;
mod command_files;
mod command_options;
mod command_redirects;
mod command_resume;
mod command_uploads;
mod command_web_transport;
mod downloads;
mod foreign_servers;
mod http1;
mod idle_connections;
mod library;
mod library_addresses;
mod library_connections;
mod library_endings;
mod library_failures;
mod library_redirects;
mod library_resources;
mod long_runs;
mod many_downloads;
mod peers;
mod restarted_servers;
mod resuming;
mod server;
mod server_endings;
mod slow_readers;
mod uploads;
mod web_transport;
