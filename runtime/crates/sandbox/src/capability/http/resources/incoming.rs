//! What arrives: responses, their bodies and trailers; and the requests of an interface that is
//! never called.

use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, DynPollable};
use wasmtime_wasi_http::{
    FieldMap,
    p2::{
        HttpResult,
        bindings::http::types,
        body::{HostFutureTrailers, HostIncomingBody},
        types::{
            HostFutureIncomingResponse, HostIncomingRequest, HostIncomingResponse, HostOutgoingResponse,
            HostResponseOutparam,
        },
    },
};

use super::{View, fields_size};
impl types::HostIncomingRequest for View<'_> {
    fn method(&mut self, request: Resource<HostIncomingRequest>) -> wasmtime::Result<types::Method> {
        types::HostIncomingRequest::method(&mut self.library, request)
    }

    fn path_with_query(&mut self, request: Resource<HostIncomingRequest>) -> wasmtime::Result<Option<String>> {
        types::HostIncomingRequest::path_with_query(&mut self.library, request)
    }

    fn scheme(&mut self, request: Resource<HostIncomingRequest>) -> wasmtime::Result<Option<types::Scheme>> {
        types::HostIncomingRequest::scheme(&mut self.library, request)
    }

    fn authority(&mut self, request: Resource<HostIncomingRequest>) -> wasmtime::Result<Option<String>> {
        types::HostIncomingRequest::authority(&mut self.library, request)
    }

    fn headers(&mut self, request: Resource<HostIncomingRequest>) -> wasmtime::Result<Resource<FieldMap>> {
        let fields = types::HostIncomingRequest::headers(&mut self.library, request)?;
        self.hold_fields(fields)
    }

    fn consume(
        &mut self,
        request: Resource<HostIncomingRequest>,
    ) -> wasmtime::Result<Result<Resource<HostIncomingBody>, ()>> {
        types::HostIncomingRequest::consume(&mut self.library, request)
    }

    fn drop(&mut self, request: Resource<HostIncomingRequest>) -> wasmtime::Result<()> {
        types::HostIncomingRequest::drop(&mut self.library, request)
    }
}

impl types::HostResponseOutparam for View<'_> {
    fn set(
        &mut self,
        param: Resource<HostResponseOutparam>,
        response: Result<Resource<HostOutgoingResponse>, types::ErrorCode>,
    ) -> wasmtime::Result<()> {
        types::HostResponseOutparam::set(&mut self.library, param, response)
    }

    fn send_informational(
        &mut self,
        param: Resource<HostResponseOutparam>,
        status: u16,
        headers: Resource<FieldMap>,
    ) -> HttpResult<()> {
        self.library.send_informational(param, status, headers)
    }

    fn drop(&mut self, param: Resource<HostResponseOutparam>) -> wasmtime::Result<()> {
        types::HostResponseOutparam::drop(&mut self.library, param)
    }
}

impl types::HostIncomingResponse for View<'_> {
    fn status(&mut self, response: Resource<HostIncomingResponse>) -> wasmtime::Result<types::StatusCode> {
        self.library.status(response)
    }

    fn headers(&mut self, response: Resource<HostIncomingResponse>) -> wasmtime::Result<Resource<FieldMap>> {
        let fields = types::HostIncomingResponse::headers(&mut self.library, response)?;
        self.hold_fields(fields)
    }

    fn consume(
        &mut self,
        response: Resource<HostIncomingResponse>,
    ) -> wasmtime::Result<Result<Resource<HostIncomingBody>, ()>> {
        types::HostIncomingResponse::consume(&mut self.library, response)
    }

    fn drop(&mut self, response: Resource<HostIncomingResponse>) -> wasmtime::Result<()> {
        self.handles.release(response.rep());
        types::HostIncomingResponse::drop(&mut self.library, response)
    }
}

impl types::HostFutureTrailers for View<'_> {
    fn subscribe(&mut self, trailers: Resource<HostFutureTrailers>) -> wasmtime::Result<Resource<DynPollable>> {
        types::HostFutureTrailers::subscribe(&mut self.library, trailers)
    }

    fn get(
        &mut self,
        trailers: Resource<HostFutureTrailers>,
    ) -> wasmtime::Result<Option<Result<Result<Option<Resource<FieldMap>>, types::ErrorCode>, ()>>> {
        // There are none: a response is complete before the guest has it, and its trailers are not
        // kept.
        types::HostFutureTrailers::get(&mut self.library, trailers)
    }

    fn drop(&mut self, trailers: Resource<HostFutureTrailers>) -> wasmtime::Result<()> {
        types::HostFutureTrailers::drop(&mut self.library, trailers)
    }
}

impl types::HostIncomingBody for View<'_> {
    fn stream(&mut self, body: Resource<HostIncomingBody>) -> wasmtime::Result<Result<Resource<DynInputStream>, ()>> {
        self.library.stream(body)
    }

    fn finish(&mut self, body: Resource<HostIncomingBody>) -> wasmtime::Result<Resource<HostFutureTrailers>> {
        types::HostIncomingBody::finish(&mut self.library, body)
    }

    fn drop(&mut self, body: Resource<HostIncomingBody>) -> wasmtime::Result<()> {
        types::HostIncomingBody::drop(&mut self.library, body)
    }
}

impl types::HostFutureIncomingResponse for View<'_> {
    fn get(
        &mut self,
        future: Resource<HostFutureIncomingResponse>,
    ) -> wasmtime::Result<Option<Result<Result<Resource<HostIncomingResponse>, types::ErrorCode>, ()>>> {
        if let Some(reached) = self.web.ended() {
            return Err(reached.clone().into());
        }
        let got = types::HostFutureIncomingResponse::get(&mut self.library, future)?;
        // The body carries its charge along; the header fields change hands here.
        if let Some(Ok(Ok(response))) = &got {
            let size = fields_size(&self.library.table.get(response)?.headers);
            self.hold(response.rep(), size)?;
        }
        Ok(got)
    }

    fn subscribe(&mut self, future: Resource<HostFutureIncomingResponse>) -> wasmtime::Result<Resource<DynPollable>> {
        types::HostFutureIncomingResponse::subscribe(&mut self.library, future)
    }

    fn drop(&mut self, future: Resource<HostFutureIncomingResponse>) -> wasmtime::Result<()> {
        types::HostFutureIncomingResponse::drop(&mut self.library, future)
    }
}
