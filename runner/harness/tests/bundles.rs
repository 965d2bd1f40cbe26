//! Bundles against a fake SDK harness.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use bytes::Bytes;
use common::{TestServer, bundle, collect, descriptor, out, registration, step};
use dataflume_harness::{BundleError, BundleInputs, BundleOutput, FnApiOptions, InputChunk};
use dataflume_proto::fn_execution::{
    Elements, GetProcessBundleDescriptorRequest, ProcessBundleResponse, RegisterResponse,
    RemoteGrpcPort, elements, instruction_request, instruction_response,
};
use dataflume_proto::pipeline::ParDoPayload;
use dataflume_proto::urn::standard_protocols::CONTROL_REQUEST_ELEMENTS_EMBEDDING;
use prost::Message;

#[tokio::test]
async fn a_bundle_goes_round() {
    let server = TestServer::start().await;
    let (worker, mut sdk) = server.worker("w").await;
    let running = worker
        .process_bundle(bundle("b", BundleInputs::Streamed))
        .unwrap();

    let (id, request) = sdk.control.next_bundle().await;
    assert_eq!(
        (id.as_str(), request.process_bundle_descriptor_id.as_str()),
        ("b", "w/d")
    );
    assert!(request.elements.is_none());

    running
        .handle
        .send_data("in", Bytes::from_static(b"he"))
        .await
        .unwrap();
    running
        .handle
        .send_data("in", Bytes::from_static(b"llo"))
        .await
        .unwrap();
    running.handle.end_inputs().await.unwrap();
    assert_eq!(sdk.data.input("b").await, b"hello");

    // The response may come before the output does.
    sdk.control
        .finish("b", ProcessBundleResponse::default())
        .await;
    sdk.data.write("b", "wor").await;
    sdk.data.write("b", "ld").await;
    sdk.data.end("b").await;
    let (written, result) = collect(running).await;
    assert_eq!(written, b"world");
    result.unwrap();
}

#[tokio::test]
async fn the_end_of_outputs_is_told_before_the_response() {
    let server = TestServer::start().await;
    let (worker, mut sdk) = server.worker("w").await;
    let running = worker
        .process_bundle(bundle("b", BundleInputs::Complete(Vec::new())))
        .unwrap();
    let (_id, _request) = sdk.control.next_bundle().await;
    sdk.data.write("b", "world").await;
    let mut ended = Box::pin(running.handle.outputs_ended());
    assert!(futures::poll!(ended.as_mut()).is_pending());
    sdk.data.end("b").await;
    step("the end of outputs", ended).await;
    assert!(futures::poll!(Box::pin(running.handle.done())).is_pending());
    sdk.control
        .finish("b", ProcessBundleResponse::default())
        .await;
    let (written, result) = collect(running).await;
    assert_eq!(written, b"world");
    result.unwrap();
}

#[tokio::test]
async fn descriptors_are_served_with_the_workers_endpoint() {
    let server = TestServer::start().await;
    let mut elsewhere = registration("w");
    elsewhere.endpoint = Some(dataflume_proto::pipeline::ApiServiceDescriptor {
        url: "host.docker.internal:8077".to_owned(),
        ..Default::default()
    });
    let (_worker, sdk) = server.worker_with(elsewhere).await;
    let served = sdk.sdk.descriptor("w/d").await.unwrap();
    let url = |descriptor: Option<dataflume_proto::pipeline::ApiServiceDescriptor>| {
        descriptor.unwrap().url
    };
    assert_eq!(
        url(served.state_api_service_descriptor),
        "host.docker.internal:8077"
    );
    assert_eq!(
        url(served.timer_api_service_descriptor),
        "host.docker.internal:8077"
    );
    for port in ["in", "out"] {
        let payload = served.transforms[port]
            .spec
            .as_ref()
            .unwrap()
            .payload
            .clone();
        let port = RemoteGrpcPort::decode(payload).unwrap();
        assert_eq!(port.coder_id, "coder");
        assert_eq!(
            url(port.api_service_descriptor),
            "host.docker.internal:8077"
        );
    }
    for id in ["d", "w/nope", "x/d"] {
        let unknown = sdk.sdk.descriptor(id).await.unwrap_err();
        assert_eq!(unknown.code(), tonic::Code::NotFound, "{id}");
    }
}

#[tokio::test]
async fn a_worker_that_does_not_say_who_it_is_gets_its_own_descriptor() {
    let server = TestServer::start().await;
    let (first, sdk) = server.worker("1").await;
    let (second, _other) = server.worker("2").await;
    first.register(&descriptor("stage", &["f"])).unwrap();
    second.register(&descriptor("stage", &[])).unwrap();
    let mut client = sdk.sdk.control_client();
    for (id, families) in [("1/stage", 1), ("2/stage", 0)] {
        let request = GetProcessBundleDescriptorRequest {
            process_bundle_descriptor_id: id.to_owned(),
        };
        let served = client.get_process_bundle_descriptor(request).await.unwrap();
        let par_do = served.into_inner().transforms["dofn"].clone();
        let payload = ParDoPayload::decode(par_do.spec.unwrap().payload).unwrap();
        assert_eq!(payload.timer_family_specs.len(), families, "{id}");
    }
}

#[tokio::test]
async fn an_sdk_that_learns_descriptors_is_told_each_once_before_its_first_bundle() {
    let server = TestServer::start().await;
    let told = "beam:version:sdk_base:apache/beam_python3.11_sdk:2.77.0";
    for (capability, tells) in [
        (told, true),
        ("beam:version:sdk_base:go:2.77.0", true),
        ("beam:version:sdk_base:apache/beam_java17_sdk:2.73.0", false),
    ] {
        let mut of_sdk = registration("w");
        of_sdk.capabilities = vec![capability.to_owned()];
        let (worker, mut sdk) = server.worker_with(of_sdk).await;
        worker.register(&descriptor("d", &[])).unwrap();
        let running = worker
            .process_bundle(bundle("b", BundleInputs::Complete(Vec::new())))
            .unwrap();
        if tells {
            let request = sdk.control.next().await;
            let Some(instruction_request::Request::Register(register)) = request.request else {
                panic!("{request:?}");
            };
            let [learned] = &register.process_bundle_descriptor[..] else {
                panic!("{register:?}");
            };
            assert_eq!(learned, &sdk.sdk.descriptor("w/d").await.unwrap());
            let response = instruction_response::Response::Register(RegisterResponse {});
            sdk.control.respond(&request.instruction_id, response).await;
        }
        assert_eq!(sdk.control.next_bundle().await.0, "b");
        drop(running);
    }
}

#[tokio::test]
async fn small_inputs_and_outputs_are_embedded() {
    let server = TestServer::start().await;
    let mut capable = registration("w");
    capable.capabilities = vec![CONTROL_REQUEST_ELEMENTS_EMBEDDING.to_owned()];
    let (worker, mut sdk) = server.worker_with(capable).await;
    let inputs = BundleInputs::Complete(vec![
        InputChunk::data("in", "one "),
        InputChunk::data("in", "two"),
    ]);
    let running = worker.process_bundle(bundle("b", inputs)).unwrap();

    let (_, request) = sdk.control.next_bundle().await;
    let embedded = request.elements.unwrap().data;
    assert_eq!(embedded.len(), 2);
    assert_eq!(
        (&embedded[0].data[..], embedded[0].is_last),
        (&b"one two"[..], false)
    );
    assert_eq!(
        (&embedded[1].data[..], embedded[1].is_last),
        (&b""[..], true)
    );

    let mut elements = out("b", "three", false);
    elements.data.extend(out("b", "", true).data);
    let response = ProcessBundleResponse {
        elements: Some(elements),
        ..Default::default()
    };
    sdk.control.finish("b", response).await;
    let (written, result) = collect(running).await;
    assert_eq!(written, b"three");
    assert!(result.unwrap().elements.is_none());
}

#[tokio::test]
async fn a_complete_input_is_sent_over_the_data_stream_where_it_cannot_be_embedded() {
    let server = TestServer::start().await;
    let mut capable = registration("capable");
    capable.capabilities = vec![CONTROL_REQUEST_ELEMENTS_EMBEDDING.to_owned()];
    let large = vec![1; FnApiOptions::default().embed_limit_bytes + 1];
    for (registration, input) in [(registration("plain"), vec![1]), (capable, large)] {
        let (worker, mut sdk) = server.worker_with(registration).await;
        let chunks = vec![InputChunk::data("in", input.clone())];
        let running = worker
            .process_bundle(bundle("b", BundleInputs::Complete(chunks)))
            .unwrap();
        assert!(sdk.control.next_bundle().await.1.elements.is_none());
        assert_eq!(sdk.data.input("b").await, input);
        let refused = running
            .handle
            .send_data("in", Bytes::from_static(b"x"))
            .await;
        assert!(
            matches!(refused, Err(BundleError::Refused(_))),
            "{refused:?}"
        );
        sdk.data.end("b").await;
        sdk.control
            .finish("b", ProcessBundleResponse::default())
            .await;
        collect(running).await.1.unwrap();
    }
}

#[tokio::test]
async fn timers_go_both_ways_and_their_end_is_waited_for() {
    let server = TestServer::start().await;
    let (worker, mut sdk) = server.worker("w").await;
    worker.register(&descriptor("timers", &["f", "g"])).unwrap();
    let mut request = bundle("b", BundleInputs::Streamed);
    request.descriptor_id = "timers".to_owned();
    let mut running = worker.process_bundle(request).unwrap();
    sdk.control.next_bundle().await;

    running
        .handle
        .send_data("in", Bytes::from_static(b"x"))
        .await
        .unwrap();
    running
        .handle
        .send_timers("dofn", "f", Bytes::from_static(b"t"))
        .await
        .unwrap();
    running.handle.end_inputs().await.unwrap();

    // Elements and timers with bytes never share a message; all markers share the last one.
    let first = sdk.data.next().await;
    assert_eq!(
        (first.data[0].data.as_ref(), first.timers.len()),
        (&b"x"[..], 0)
    );
    let last = sdk.data.next().await;
    assert_eq!(last.timers[0].timers, "t");
    let markers: Vec<_> = last.timers[1..]
        .iter()
        .map(|t| (t.timer_family_id.as_str(), t.is_last, t.timers.is_empty()))
        .collect();
    assert_eq!(markers, [("f", true, true), ("g", true, true)]);
    assert!(last.data.len() == 1 && last.data[0].is_last);

    let timers = |family: &str, bytes: &'static [u8], is_last| Elements {
        timers: vec![elements::Timers {
            instruction_id: "b".to_owned(),
            transform_id: "dofn".to_owned(),
            timer_family_id: family.to_owned(),
            timers: Bytes::from_static(bytes),
            is_last,
        }],
        data: Vec::new(),
    };
    sdk.data.end("b").await;
    sdk.data.send(timers("g", b"set", false)).await;
    sdk.data.send(timers("f", b"", true)).await;
    sdk.control
        .finish("b", ProcessBundleResponse::default())
        .await;
    let set = step("timers", running.outputs.recv()).await;
    assert_eq!(
        set,
        Some(BundleOutput::Timers {
            transform: "dofn".to_owned(),
            family: "g".to_owned(),
            bytes: Bytes::from_static(b"set"),
        })
    );
    // An instruction that is answered after the response shows that the response has been read.
    let handle = running.handle.clone();
    let asked = tokio::spawn(async move { handle.progress().await });
    let progress = sdk.control.next().await;
    sdk.control
        .fail(&progress.instruction_id, "bundle is over")
        .await;
    asked.await.unwrap().unwrap_err();
    assert!(
        futures::poll!(std::pin::pin!(running.handle.done())).is_pending(),
        "family g has not ended"
    );

    sdk.data.send(timers("g", b"", true)).await;
    assert_eq!(step("end", running.outputs.recv()).await, None);
    step("finish", running.handle.finish()).await.unwrap();
}

#[tokio::test]
async fn an_element_of_100_mb_passes_both_ways() {
    let server = TestServer::start().await;
    let (worker, mut sdk) = server.worker("w").await;
    let element = Bytes::from(vec![42_u8; 100 << 20]);
    let running = worker
        .process_bundle(bundle("b", BundleInputs::Streamed))
        .unwrap();
    sdk.control.next_bundle().await;
    running
        .handle
        .send_data("in", element.clone())
        .await
        .unwrap();
    running.handle.end_inputs().await.unwrap();
    let read = sdk.data.input("b").await;
    assert!(read == element);
    sdk.data.write("b", read).await;
    sdk.data.end("b").await;
    sdk.control
        .finish("b", ProcessBundleResponse::default())
        .await;
    let (written, result) = collect(running).await;
    assert!(written == element);
    result.unwrap();
}

#[tokio::test]
async fn unread_output_stops_the_stream_and_loses_nothing() {
    let server = TestServer::with(FnApiOptions {
        output_budget_bytes: 1 << 20,
        ..FnApiOptions::default()
    })
    .await;
    let (worker, mut sdk) = server.worker("w").await;
    let running = worker
        .process_bundle(bundle("b", BundleInputs::Complete(vec![])))
        .unwrap();
    sdk.control.next_bundle().await;
    let outgoing = sdk.data.outgoing.clone();
    let writer = tokio::spawn(async move {
        for i in 0..64_u8 {
            outgoing
                .send(out("b", vec![i; 1 << 20], false))
                .await
                .unwrap();
        }
        outgoing.send(out("b", "", true)).await.unwrap();
    });
    // 64 MiB fit neither the budget nor the windows; the control stream of the same connection
    // must work meanwhile.
    let handle = running.handle.clone();
    let asked = tokio::spawn(async move { handle.progress().await });
    let progress = sdk.control.next().await;
    sdk.control.fail(&progress.instruction_id, "not now").await;
    asked.await.unwrap().unwrap_err();

    sdk.control
        .finish("b", ProcessBundleResponse::default())
        .await;
    let (written, result) = collect(running).await;
    result.unwrap();
    assert_eq!(written.len(), 64 << 20);
    assert!(
        written
            .chunks(1 << 20)
            .enumerate()
            .all(|(i, c)| c.iter().all(|b| *b as usize == i))
    );
    step("writer", writer).await.unwrap();
}

#[tokio::test]
async fn two_workers_are_kept_apart() {
    let server = TestServer::start().await;
    let (one, mut sdk_one) = server.worker("one").await;
    let (two, mut sdk_two) = server.worker("two").await;
    let complete = |text: &'static str| BundleInputs::Complete(vec![InputChunk::data("in", text)]);
    let first = one.process_bundle(bundle("same", complete("1"))).unwrap();
    let second = two.process_bundle(bundle("same", complete("2"))).unwrap();
    for (sdk, text) in [(&mut sdk_two, "2"), (&mut sdk_one, "1")] {
        sdk.control.next_bundle().await;
        assert_eq!(sdk.data.input("same").await, text.as_bytes());
        sdk.data.write("same", format!("out{text}")).await;
        sdk.data.end("same").await;
        sdk.control
            .finish("same", ProcessBundleResponse::default())
            .await;
    }
    assert_eq!(collect(first).await.0, b"out1");
    assert_eq!(collect(second).await.0, b"out2");
}

#[tokio::test]
async fn wrong_requests_are_refused_before_anything_is_sent() {
    let server = TestServer::start().await;
    let (worker, _sdk) = server.worker("w").await;
    let refused = |request| match worker.process_bundle(request) {
        Err(BundleError::Refused(text)) => text,
        other => panic!("{other:?}"),
    };
    let mut unknown = bundle("b", BundleInputs::Streamed);
    unknown.descriptor_id = "nope".to_owned();
    assert!(refused(unknown).contains("\"nope\" is not registered"));
    assert!(refused(bundle("control-1", BundleInputs::Streamed)).contains("reserved"));
    let wrong = BundleInputs::Complete(vec![InputChunk::data("dofn", "x")]);
    assert!(refused(bundle("b", wrong)).contains("\"dofn\""));

    let running = worker
        .process_bundle(bundle("b", BundleInputs::Streamed))
        .unwrap();
    assert!(refused(bundle("b", BundleInputs::Streamed)).contains("in use"));
    let sent = running
        .handle
        .send_timers("dofn", "f", Bytes::from_static(b"t"))
        .await;
    assert!(matches!(sent, Err(BundleError::Refused(_))), "{sent:?}");
}
