// SPDX-License-Identifier: MIT
//! iceoryx2 for the comparison: one direction between processes, behind a few C functions, so that
//! the driver of all peers drives this one too. Any failure ends the process.
#![allow(clippy::missing_safety_doc)]

use core::ffi::{c_char, CStr};
use core::mem::MaybeUninit;

use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::sample::Sample;
use iceoryx2::sample_mut_uninit::SampleMutUninit;
use iceoryx2::service::port_factory::{event, publish_subscribe};

type Payloads = publish_subscribe::PortFactory<ipc::Service, [u8], u64>;
type Events = event::PortFactory<ipc::Service>;

/// What both ends of a direction say of it.
#[repr(C)]
pub struct Way {
    name: *const c_char,
    bytes: usize,
    queued: usize,
    writers: usize,
    reader_sleeps: bool,
}

fn must<T, E: core::fmt::Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => {
            eprintln!("bench: iceoryx2: {error:?}");
            std::process::exit(1);
        }
    }
}

fn open(way: &Way) -> (Node<ipc::Service>, Payloads, Option<Events>) {
    set_log_level(LogLevel::Fatal);
    let name = must(unsafe { CStr::from_ptr(way.name) }.to_str());
    let service_name = must(ServiceName::new(name));
    let node = must(
        NodeBuilder::new()
            .signal_handling_mode(SignalHandlingMode::Disabled)
            .create::<ipc::Service>(),
    );
    let payloads = must(
        node.service_builder(&service_name)
            .publish_subscribe::<[u8]>()
            .user_header::<u64>()
            .payload_alignment(must(Alignment::new(64).ok_or("alignment")))
            .enable_safe_overflow(false)
            .history_size(0)
            .subscriber_max_buffer_size(way.queued)
            .subscriber_max_borrowed_samples(2)
            .max_publishers(way.writers)
            .max_subscribers(1)
            .max_nodes(way.writers + 1)
            .open_or_create(),
    );
    let events = way.reader_sleeps.then(|| {
        must(
            node.service_builder(&service_name)
                .event()
                .max_notifiers(way.writers)
                .max_listeners(1)
                .max_nodes(way.writers + 1)
                .open_or_create(),
        )
    });
    (node, payloads, events)
}

/// The sending end. Its fields are dropped in this order.
pub struct Writer {
    claimed: Option<SampleMutUninit<ipc::Service, [MaybeUninit<u8>], u64>>,
    notifier: Option<Notifier<ipc::Service>>,
    publisher: Publisher<ipc::Service, [u8], u64>,
    payloads: Payloads,
    _events: Option<Events>,
    _node: Node<ipc::Service>,
    bytes: usize,
    tag: u64,
}

/// `tag` travels with each message.
#[no_mangle]
pub unsafe extern "C" fn mews_iceoryx2_writer(way: *const Way, tag: u64) -> *mut Writer {
    let way = &*way;
    let (node, payloads, events) = open(way);
    let publisher = must(
        payloads
            .publisher_builder()
            .initial_max_slice_len(way.bytes)
            .max_loaned_samples(2)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create(),
    );
    let notifier = events.as_ref().map(|events| must(events.notifier_builder().create()));
    Box::into_raw(Box::new(Writer {
        claimed: None,
        notifier,
        publisher,
        payloads,
        _events: events,
        _node: node,
        bytes: way.bytes,
        tag,
    }))
}

/// What is sent before there is a reader is lost.
#[no_mangle]
pub unsafe extern "C" fn mews_iceoryx2_has_reader(writer: *const Writer) -> bool {
    let writer = &*writer;
    writer.payloads.dynamic_config().number_of_subscribers() > 0
        && writer
            ._events
            .as_ref()
            .map_or(true, |events| events.dynamic_config().number_of_listeners() > 0)
}

#[no_mangle]
pub unsafe extern "C" fn mews_iceoryx2_claim(writer: *mut Writer) -> *mut u8 {
    let writer = &mut *writer;
    let mut sample = must(writer.publisher.loan_slice_uninit(writer.bytes));
    *sample.user_header_mut() = writer.tag;
    let at = sample.payload_mut().as_mut_ptr().cast();
    writer.claimed = Some(sample);
    at
}

#[no_mangle]
pub unsafe extern "C" fn mews_iceoryx2_send(writer: *mut Writer) {
    let writer = &mut *writer;
    let sample = must(writer.claimed.take().ok_or("nothing was claimed"));
    must(sample.assume_init().send());
    if let Some(notifier) = &writer.notifier {
        must(notifier.notify());
    }
}

#[no_mangle]
pub unsafe extern "C" fn mews_iceoryx2_close_writer(writer: *mut Writer) {
    drop(Box::from_raw(writer));
}

/// The receiving end. Its fields are dropped in this order.
pub struct Reader {
    held: Option<Sample<ipc::Service, [u8], u64>>,
    listener: Option<Listener<ipc::Service>>,
    subscriber: Subscriber<ipc::Service, [u8], u64>,
    _payloads: Payloads,
    _events: Option<Events>,
    _node: Node<ipc::Service>,
}

#[no_mangle]
pub unsafe extern "C" fn mews_iceoryx2_reader(way: *const Way) -> *mut Reader {
    let (node, payloads, events) = open(&*way);
    let listener = events.as_ref().map(|events| must(events.listener_builder().create()));
    let subscriber = must(payloads.subscriber_builder().create());
    Box::into_raw(Box::new(Reader {
        held: None,
        listener,
        subscriber,
        _payloads: payloads,
        _events: events,
        _node: node,
    }))
}

/// Waits for a message: asleep, if the way says that its reader sleeps.
#[no_mangle]
pub unsafe extern "C" fn mews_iceoryx2_receive(reader: *mut Reader, tag: *mut u64) -> *const u8 {
    let reader = &mut *reader;
    loop {
        if let Some(sample) = must(reader.subscriber.receive()) {
            *tag = *sample.user_header();
            let at = sample.payload().as_ptr();
            reader.held = Some(sample);
            return at;
        }
        if let Some(listener) = &reader.listener {
            must(listener.blocking_wait(|_| {}));
        }
    }
}

#[no_mangle]
pub unsafe extern "C" fn mews_iceoryx2_release(reader: *mut Reader) {
    (*reader).held = None;
}

#[no_mangle]
pub unsafe extern "C" fn mews_iceoryx2_close_reader(reader: *mut Reader) {
    drop(Box::from_raw(reader));
}
