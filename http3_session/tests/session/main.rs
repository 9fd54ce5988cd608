//! A session on a scripted engine and a simulated socket, without a connection and without a manager: what it
//! says of itself can be looked at after every call.

#![cfg(test)]

mod bodies;
mod early_data;
mod ends;
mod fixture;
mod last_words;
mod states;
mod streams;
mod timers;
mod web_transport;
