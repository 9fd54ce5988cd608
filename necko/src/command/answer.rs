//! Waiting for a response, with all that led to it.

use std::{future::poll_fn, pin::Pin, task::Poll};

use necko::{PendingResponse, Redirect, Response};

use super::{
    heads,
    record::{Record, ResponseRecord},
    report::Failure,
    transfer::Shared,
    verbose,
    wait::Waiter,
};

/// Blocks until the response is there. Whatever redirects come before it are told of as they come.
///
/// # Errors
/// The request failed, or the wait ended. The record says how far it came.
pub(crate) fn wait_for_response(
    mut pending: PendingResponse,
    shared: &Shared<'_>,
    waiter: &Waiter<'_>,
    record: &mut Record,
) -> Result<Response, Failure> {
    let mut told = Ok(());
    let outcome = waiter.wait(poll_fn(|context| {
        let polled = Pin::new(&mut pending).poll(context);
        let redirects = match &polled {
            Poll::Ready(Ok(response)) => response.redirects(),
            _ => pending.redirects(),
        };
        for redirect in redirects.get(record.redirects..).unwrap_or_default() {
            told = told.clone().and(tell_redirect(redirect, shared, record));
        }
        if waiter.awaits_request() && pending.timings().get().request_start.is_some() {
            waiter.request_has_left();
        }
        polled
    }));
    record.timings = pending.timings().get();
    record.connections += u64::from(record.timings.connect.connect_start.is_some());
    let response = outcome??;
    told?;
    response.url().clone_into(&mut record.url_effective);
    tell_response(&response, shared, record)?;
    Ok(response)
}

fn tell_redirect(
    redirect: &Redirect,
    shared: &Shared<'_>,
    record: &mut Record,
) -> Result<(), Failure> {
    record.redirects += 1;
    redirect.next_url.clone_into(&mut record.url_effective);
    record.method = redirect.next_request.method().clone();
    record.downloaded += redirect.received;
    record.connections += u64::from(redirect.timings.connect.connect_start.is_some());
    record.size_request += heads::request_length(&redirect.next_request);
    let head = heads::of_redirect(redirect);
    record.size_header += head.len() as u64;
    if shared.options.verbose > 0 {
        verbose::response(&head);
        verbose::request(&redirect.next_request, shared.options.connecting.version());
    }
    shared.dump.as_ref().map_or(Ok(()), |dump| dump.write(&head))
}

fn tell_response(
    response: &Response,
    shared: &Shared<'_>,
    record: &mut Record,
) -> Result<(), Failure> {
    record.response = Some(ResponseRecord {
        status: response.status(),
        version: response.version(),
        headers: response.headers().clone(),
        time: record.until(record.timings.response_start),
    });
    let head = heads::of_response(response);
    record.size_header += head.len() as u64;
    if shared.options.verbose > 0 {
        verbose::response(&head);
    }
    shared.dump.as_ref().map_or(Ok(()), |dump| dump.write(&head))
}
