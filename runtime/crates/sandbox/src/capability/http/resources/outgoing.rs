//! What is sent: requests, their bodies and options; and the responses of an interface that is
//! never called.

use pattoo_fetch::MAX_METHOD;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::DynOutputStream;
use wasmtime_wasi_http::{
    FieldMap,
    p2::{
        HttpResult,
        bindings::http::types,
        body::HostOutgoingBody,
        types::{HostOutgoingRequest, HostOutgoingResponse},
    },
};

use super::{SCHEME, View, WRITTEN, borrowed, fields_size};
impl types::HostOutgoingRequest for View<'_> {
    fn new(&mut self, headers: Resource<FieldMap>) -> wasmtime::Result<Resource<HostOutgoingRequest>> {
        self.handles.release(headers.rep());
        let request = types::HostOutgoingRequest::new(&mut self.library, headers)?;
        self.hold_request(request.rep())?;
        Ok(request)
    }

    fn body(
        &mut self,
        request: Resource<HostOutgoingRequest>,
    ) -> wasmtime::Result<Result<Resource<HostOutgoingBody>, ()>> {
        let handle = request.rep();
        let body = types::HostOutgoingRequest::body(&mut self.library, request)?;
        self.hold_request(handle)?;
        if let Ok(body) = &body {
            self.hold(body.rep(), WRITTEN)?;
        }
        Ok(body)
    }

    fn method(&mut self, request: Resource<HostOutgoingRequest>) -> wasmtime::Result<types::Method> {
        types::HostOutgoingRequest::method(&mut self.library, request)
    }

    fn set_method(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        method: types::Method,
    ) -> wasmtime::Result<Result<(), ()>> {
        if matches!(&method, types::Method::Other(name) if name.len() > MAX_METHOD) {
            return Ok(Err(()));
        }
        let handle = request.rep();
        let set = self.library.set_method(request, method)?;
        self.hold_request(handle)?;
        Ok(set)
    }

    fn path_with_query(&mut self, request: Resource<HostOutgoingRequest>) -> wasmtime::Result<Option<String>> {
        types::HostOutgoingRequest::path_with_query(&mut self.library, request)
    }

    fn set_path_with_query(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        path: Option<String>,
    ) -> wasmtime::Result<Result<(), ()>> {
        if !self.is_of_url(path.as_ref()) {
            return Ok(Err(()));
        }
        let handle = request.rep();
        let set = self.library.set_path_with_query(request, path)?;
        self.hold_request(handle)?;
        Ok(set)
    }

    fn scheme(&mut self, request: Resource<HostOutgoingRequest>) -> wasmtime::Result<Option<types::Scheme>> {
        types::HostOutgoingRequest::scheme(&mut self.library, request)
    }

    fn set_scheme(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        scheme: Option<types::Scheme>,
    ) -> wasmtime::Result<Result<(), ()>> {
        if matches!(&scheme, Some(types::Scheme::Other(name)) if name.len() > SCHEME) {
            return Ok(Err(()));
        }
        let handle = request.rep();
        let set = self.library.set_scheme(request, scheme)?;
        self.hold_request(handle)?;
        Ok(set)
    }

    fn authority(&mut self, request: Resource<HostOutgoingRequest>) -> wasmtime::Result<Option<String>> {
        types::HostOutgoingRequest::authority(&mut self.library, request)
    }

    fn set_authority(
        &mut self,
        request: Resource<HostOutgoingRequest>,
        authority: Option<String>,
    ) -> wasmtime::Result<Result<(), ()>> {
        if !self.is_of_url(authority.as_ref()) {
            return Ok(Err(()));
        }
        let handle = request.rep();
        let set = self.library.set_authority(request, authority)?;
        self.hold_request(handle)?;
        Ok(set)
    }

    fn headers(&mut self, request: Resource<HostOutgoingRequest>) -> wasmtime::Result<Resource<FieldMap>> {
        let fields = types::HostOutgoingRequest::headers(&mut self.library, request)?;
        self.hold_fields(fields)
    }

    fn drop(&mut self, request: Resource<HostOutgoingRequest>) -> wasmtime::Result<()> {
        self.handles.release(request.rep());
        types::HostOutgoingRequest::drop(&mut self.library, request)
    }
}

impl types::HostOutgoingResponse for View<'_> {
    fn new(&mut self, headers: Resource<FieldMap>) -> wasmtime::Result<Resource<HostOutgoingResponse>> {
        self.handles.release(headers.rep());
        let response = types::HostOutgoingResponse::new(&mut self.library, headers)?;
        let size = fields_size(&self.library.table.get(&response)?.headers);
        self.hold(response.rep(), size)?;
        Ok(response)
    }

    fn body(
        &mut self,
        response: Resource<HostOutgoingResponse>,
    ) -> wasmtime::Result<Result<Resource<HostOutgoingBody>, ()>> {
        let handle = response.rep();
        let body = types::HostOutgoingResponse::body(&mut self.library, response)?;
        let size = fields_size(&self.library.table.get(&borrowed::<HostOutgoingResponse>(handle))?.headers);
        self.hold(handle, size.saturating_add(WRITTEN))?;
        if let Ok(body) = &body {
            self.hold(body.rep(), WRITTEN)?;
        }
        Ok(body)
    }

    fn status_code(&mut self, response: Resource<HostOutgoingResponse>) -> wasmtime::Result<types::StatusCode> {
        self.library.status_code(response)
    }

    fn set_status_code(
        &mut self,
        response: Resource<HostOutgoingResponse>,
        status: types::StatusCode,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.library.set_status_code(response, status)
    }

    fn headers(&mut self, response: Resource<HostOutgoingResponse>) -> wasmtime::Result<Resource<FieldMap>> {
        let fields = types::HostOutgoingResponse::headers(&mut self.library, response)?;
        self.hold_fields(fields)
    }

    fn drop(&mut self, response: Resource<HostOutgoingResponse>) -> wasmtime::Result<()> {
        self.handles.release(response.rep());
        types::HostOutgoingResponse::drop(&mut self.library, response)
    }
}

impl types::HostOutgoingBody for View<'_> {
    fn write(&mut self, body: Resource<HostOutgoingBody>) -> wasmtime::Result<Result<Resource<DynOutputStream>, ()>> {
        self.library.write(body)
    }

    fn finish(&mut self, body: Resource<HostOutgoingBody>, trailers: Option<Resource<FieldMap>>) -> HttpResult<()> {
        self.handles.release(body.rep());
        // The trailers go where the body goes: into what is charged for the request.
        if let Some(trailers) = &trailers {
            self.handles.release(trailers.rep());
        }
        types::HostOutgoingBody::finish(&mut self.library, body, trailers)
    }

    fn drop(&mut self, body: Resource<HostOutgoingBody>) -> wasmtime::Result<()> {
        self.handles.release(body.rep());
        types::HostOutgoingBody::drop(&mut self.library, body)
    }
}

impl types::HostRequestOptions for View<'_> {
    fn new(&mut self) -> wasmtime::Result<Resource<types::RequestOptions>> {
        types::HostRequestOptions::new(&mut self.library)
    }

    fn connect_timeout(
        &mut self,
        options: Resource<types::RequestOptions>,
    ) -> wasmtime::Result<Option<types::Duration>> {
        self.library.connect_timeout(options)
    }

    fn set_connect_timeout(
        &mut self,
        options: Resource<types::RequestOptions>,
        duration: Option<types::Duration>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.library.set_connect_timeout(options, duration)
    }

    fn first_byte_timeout(
        &mut self,
        options: Resource<types::RequestOptions>,
    ) -> wasmtime::Result<Option<types::Duration>> {
        self.library.first_byte_timeout(options)
    }

    fn set_first_byte_timeout(
        &mut self,
        options: Resource<types::RequestOptions>,
        duration: Option<types::Duration>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.library.set_first_byte_timeout(options, duration)
    }

    fn between_bytes_timeout(
        &mut self,
        options: Resource<types::RequestOptions>,
    ) -> wasmtime::Result<Option<types::Duration>> {
        self.library.between_bytes_timeout(options)
    }

    fn set_between_bytes_timeout(
        &mut self,
        options: Resource<types::RequestOptions>,
        duration: Option<types::Duration>,
    ) -> wasmtime::Result<Result<(), ()>> {
        self.library.set_between_bytes_timeout(options, duration)
    }

    fn drop(&mut self, options: Resource<types::RequestOptions>) -> wasmtime::Result<()> {
        types::HostRequestOptions::drop(&mut self.library, options)
    }
}
